//! The client against a member that is scripted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use codis_proto::admin::v1 as api;
use tonic::{Code, Status};

use super::*;

/// A member that answers `GetSettings`-like calls by its script, through the raw HTTP/2 of a tonic service.
#[derive(Clone, Default)]
struct Scripted {
    answers: Arc<Mutex<VecDeque<Result<(), Status>>>>,
    seen: Arc<Mutex<Vec<api::CreateGroupRequest>>>,
}

impl tonic::server::UnaryService<api::CreateGroupRequest> for Scripted {
    type Response = api::Changed;
    type Future = std::future::Ready<Result<Response<api::Changed>, Status>>;

    fn call(&mut self, request: Request<api::CreateGroupRequest>) -> Self::Future {
        self.seen.lock().expect("no panic under it").push(request.into_inner());
        let next = self.answers.lock().expect("no panic under it").pop_front();
        let changed = |()| Response::new(api::Changed { epoch: 7, ..api::Changed::default() });
        std::future::ready(next.unwrap_or(Ok(())).map(changed))
    }
}

/// Serves `member` on a free port.
async fn serve(member: Scripted) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let answer = move |request: http::Request<axum::body::Body>| {
        let member = member.clone();
        async move {
            let codec = tonic_prost::ProstCodec::default();
            tonic::server::Grpc::new(codec).unary(member, request).await.map(axum::body::Body::new)
        }
    };
    let app = axum::Router::new().fallback(answer);
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let served = tonic::transport::Server::builder()
        .add_routes(tonic::service::Routes::from(app))
        .serve_with_incoming(incoming);
    tokio::spawn(served);
    address
}

fn scripted(answers: impl IntoIterator<Item = Result<(), Status>>) -> Scripted {
    let member = Scripted::default();
    member.answers.lock().expect("no panic under it").extend(answers);
    member
}

async fn create(client: &mut Client) -> Result<api::Changed, ClientError> {
    let call = Some(client.change(Duration::ZERO));
    let request = api::CreateGroupRequest { call, gid: 1 };
    client.call(request, async |api, request| api.create_group(request).await).await
}

fn client(members: Vec<String>, patience: Duration) -> Client {
    Client::new(members, Token::default(), None, patience).expect("members are named")
}

#[tokio::test]
async fn a_call_is_repeated_under_the_same_id_until_a_member_takes_it() {
    let member = scripted([
        Err(Status::unavailable("no leader")),
        Err(Status::deadline_exceeded("not known")),
        Ok(()),
    ]);
    let address = serve(member.clone()).await;
    let changed = create(&mut client(vec![address], Duration::from_secs(60))).await;
    assert_eq!(changed.expect("it was taken").epoch, 7);
    let seen = member.seen.lock().expect("no panic under it");
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|request| request == &seen[0]));
}

#[tokio::test]
async fn two_changes_have_different_ids() {
    let member = scripted([]);
    let mut client = client(vec![serve(member.clone()).await], Duration::from_secs(60));
    create(&mut client).await.expect("taken");
    create(&mut client).await.expect("taken");
    let seen = member.seen.lock().expect("no panic under it");
    assert_ne!(
        seen[0].call.as_ref().map(|call| call.id),
        seen[1].call.as_ref().map(|call| call.id)
    );
}

#[tokio::test]
async fn a_refusal_ends_the_call_with_the_members_sentence() {
    let member = scripted([Err(Status::already_exists("group 1 exists already"))]);
    let address = serve(member.clone()).await;
    let error = create(&mut client(vec![address], Duration::from_secs(60))).await;
    let error = error.expect_err("it is refused");
    assert_eq!(error.to_string(), "group 1 exists already");
    assert_eq!(error.code(), "ALREADY_EXISTS");
    assert_eq!(member.seen.lock().expect("no panic under it").len(), 1);
}

#[tokio::test]
async fn a_member_that_does_not_run_is_passed_over() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let dead = nobody.local_addr().expect("it is bound").to_string();
    drop(nobody);
    let address = serve(scripted([])).await;
    let mut client = client(vec![dead, address], Duration::from_secs(60));
    assert_eq!(create(&mut client).await.expect("the other one takes it").epoch, 7);
}

#[tokio::test]
async fn when_no_member_answers_each_is_named_with_the_reason() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let dead = nobody.local_addr().expect("it is bound").to_string();
    drop(nobody);
    let mut client = client(vec![dead.clone()], Duration::from_millis(300));
    let error = create(&mut client).await.expect_err("nobody is there");
    let text = error.to_string();
    assert!(text.contains(&dead) && text.contains("refused"), "{text}");
    assert_eq!(error.code(), "UNAVAILABLE");
}

#[test]
fn codes_are_spelled_as_grpc_spells_them() {
    let code = |code| ClientError::Refused(Box::new(Status::new(code, ""))).code();
    assert_eq!(code(Code::FailedPrecondition), "FAILED_PRECONDITION");
    assert_eq!(code(Code::NotFound), "NOT_FOUND");
}
