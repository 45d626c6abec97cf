//! The port itself: tokens, certificates, health, reflection, and a member that has not begun.

use codis_meta::auth::Token;
use codis_meta::server::{Services, Tls, TlsError};
use codis_meta::transport::Hall;
use codis_proto::admin::v1 as api;
use codis_proto::admin::v1::admin_client::AdminClient;
use codis_proto::member::v1::HelloRequest;
use codis_proto::member::v1::member_client::MemberClient;
use codis_testbed::free_port;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, RootCertStore};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::member::{Member, Options, PRODUCT, eventually, serve};

async fn health(channel: Channel, service: &str) -> Result<i32, Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    Ok(HealthClient::new(channel).check(request).await?.into_inner().status)
}

const SERVING: i32 = 1;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_the_products_token_is_unauthenticated() {
    let member = Member::alone_with(Options { auth: "secret", ..Options::default() }).await;
    member.admin().list_slots(api::ListSlotsRequest {}).await.expect("it has the token");
    for auth in ["", "wrong"] {
        let token = Token::new(auth).expect("fit for a header");
        let mut admin = AdminClient::with_interceptor(member.channel(), token.clone());
        let status = admin.list_slots(api::ListSlotsRequest {}).await.expect_err("refused");
        assert_eq!(status.code(), Code::Unauthenticated, "{auth:?}");
        let mut peer = MemberClient::with_interceptor(member.channel(), token);
        let status = peer.hello(HelloRequest::default()).await.expect_err("refused");
        assert_eq!(status.code(), Code::Unauthenticated, "{auth:?}");
    }
    health(member.channel(), "").await.expect("health is open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_takes_part_is_healthy() {
    let member = Member::alone().await;
    for service in ["", "codis.admin.v1.Admin"] {
        eventually("it is healthy", async || {
            health(member.channel(), service).await.ok() == Some(SERVING)
        })
        .await;
    }
    let status = health(member.channel(), "codis.nonsense").await.expect_err("no such service");
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_describe_themselves() {
    let member = Member::alone().await;
    let request = |message_request| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let questions = [
        request(MessageRequest::ListServices(String::new())),
        request(MessageRequest::FileContainingSymbol("codis.admin.v1.Admin.GetStatus".to_owned())),
    ];
    let mut client = ServerReflectionClient::new(member.channel());
    let answer = client.server_reflection_info(tokio_stream::iter(questions)).await;
    let mut answers = answer.expect("answered").into_inner();
    let mut next =
        async || answers.message().await.expect("it goes on").and_then(|one| one.message_response);
    let Some(MessageResponse::ListServicesResponse(list)) = next().await else { panic!("a list") };
    for name in ["codis.admin.v1.Admin", "codis.link.v1.Link", "grpc.health.v1.Health"] {
        assert!(list.service.iter().any(|service| service.name == name), "{name}");
    }
    let Some(MessageResponse::FileDescriptorResponse(file)) = next().await else {
        panic!("a file")
    };
    assert!(!file.file_descriptor_proto.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn before_it_has_begun_a_member_answers_its_peers_alone() {
    let token = Token::default();
    let hall = Hall { id: 1, product: PRODUCT.to_owned(), group: 5 };
    let services = Services::new(hall, token);
    services.wait_for("it waits for member 2 at b:1 to answer");
    let address = format!("127.0.0.1:{}", free_port());
    let _open = serve(&address, services, None).await;
    let channel =
        Channel::from_shared(format!("http://{address}")).expect("an address").connect_lazy();
    let hello = MemberClient::new(channel.clone()).hello(HelloRequest::default()).await;
    let hello = hello.expect("peers are answered").into_inner();
    assert_eq!((hello.id, hello.group, hello.begun), (1, 5, false));
    let status = AdminClient::new(channel.clone()).list_slots(api::ListSlotsRequest {}).await;
    let status = status.expect_err("it has not begun");
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "this member is starting: it waits for member 2 at b:1 to answer");
    assert_eq!(codis_testbed::http_get(&address, "/healthz").status, 503);
    assert_eq!(codis_testbed::http_get(&address, "/metrics").status, 200);
    eventually("it is not healthy", async || {
        health(channel.clone(), "").await.is_ok_and(|status| status != SERVING)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_is_not_there_is_unimplemented() {
    let member = Member::alone().await;
    let mut client = tonic::client::Grpc::new(member.channel());
    client.ready().await.expect("connected");
    let codec = tonic_prost::ProstCodec::<api::ListSlotsRequest, api::Slots>::default();
    let path = http::uri::PathAndQuery::from_static("/codis.nonsense.v1.None/Do");
    let request = tonic::Request::new(api::ListSlotsRequest {});
    let status = client.unary(request, path, codec).await.expect_err("there is none");
    assert_eq!(status.code(), Code::Unimplemented);
}

/// A certificate for this machine and its key, as files.
fn certificate(dir: &Path) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    let made = made.expect("a certificate");
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    (cert, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_with_a_certificate_takes_encrypted_calls_alone() {
    let dir = TempDir::new().expect("a directory");
    let (cert, key) = certificate(dir.path());
    let tls = Tls::load(&cert, &key, None).expect("sound files");
    let client = tls.client();
    let member = Member::alone_with(Options { tls: Some(tls), ..Options::default() }).await;
    let endpoint = Channel::from_shared(format!("https://{}", member.address)).expect("an address");
    let channel = endpoint.tls_config(client).expect("sound roots").connect().await;
    let mut admin = AdminClient::new(channel.expect("the certificate is trusted"));
    admin.list_slots(api::ListSlotsRequest {}).await.expect("answered");
    let plain = AdminClient::new(member.channel()).list_slots(api::ListSlotsRequest {}).await;
    assert!(plain.is_err(), "nothing goes in the clear");
    let stranger = TempDir::new().expect("a directory");
    let (cert, key) = certificate(stranger.path());
    let other = Tls::load(&cert, &key, None).expect("sound files").client();
    let endpoint = Channel::from_shared(format!("https://{}", member.address)).expect("an address");
    let channel = endpoint.tls_config(other).expect("sound roots").connect().await;
    assert!(channel.is_err(), "another certificate is not this member's");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_certificates_are_named() {
    let dir = TempDir::new().expect("a directory");
    let (cert, key) = certificate(dir.path());
    let missing = dir.path().join("missing.pem");
    let other = TempDir::new().expect("a directory");
    let (_, other_key) = certificate(other.path());
    let said = |loaded: Result<Tls, TlsError>| loaded.expect_err("refused").to_string();
    let text = said(Tls::load(&missing, &key, None));
    assert!(text.contains("tls_certificate") && text.contains("missing.pem"), "{text}");
    let text = said(Tls::load(&key, &key, None));
    assert!(text.contains("holds no certificate"), "{text}");
    let text = said(Tls::load(&cert, &cert, None));
    assert!(text.contains("tls_key") && text.contains("no private key"), "{text}");
    let text = said(Tls::load(&cert, &key, Some(&key)));
    assert!(text.contains("tls_ca"), "{text}");
    let text = said(Tls::load(&cert, &other_key, None));
    assert!(text.contains("cannot be used together"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_there_for_programs_that_speak_http_1_over_tls() {
    let dir = TempDir::new().expect("a directory");
    let (cert, key) = certificate(dir.path());
    let tls = Tls::load(&cert, &key, None).expect("sound files");
    let member = Member::alone_with(Options { tls: Some(tls), ..Options::default() }).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&cert).expect("our own")).expect("sound");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("known versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let socket = TcpStream::connect(&member.address).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, socket).await;
    let mut stream = shaken.expect("it takes HTTP/1.1");
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("sent");
    let mut answer = Vec::new();
    // A server may close without TLS's own goodbye.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok\n"), "{answer}");
}
