//! A group whose members have certificates of one authority: members, operator and proxies speak in cipher alone.

use crate::bed::{PROXY, meta, operator};
use codis_testbed::{
    Admin, Member, MemberGroup, MemberOptions, Proxy, ProxyOptions, Redis, Value, eventually,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// An authority, with its certificate and those that it signs as files in a folder.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let mut params = CertificateParams::new(Vec::new()).expect("no name is a wrong one");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("written");
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The same member with a certificate of its own, which trusts those of this authority.
    fn certify(&self, name: &str, member: MemberOptions) -> MemberOptions {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let file = |what: &str, text: String| {
            let path = self.folder.path().join(format!("{name}.{what}.pem"));
            std::fs::write(&path, text).expect("written");
            path
        };
        let certificate = file("certificate", certificate.pem());
        let key = file("key", key.serialize_pem());
        member
            .set(&format!("tls_certificate = {certificate:?}"))
            .set(&format!("tls_key = {key:?}"))
            .set(&format!("tls_ca = {:?}", self.ca()))
    }

    fn group(&self) -> MemberGroup {
        let founders = MemberOptions::founders(&meta(), 3).into_iter().enumerate();
        let certified = founders.map(|(i, member)| self.certify(&format!("member{i}"), member));
        MemberGroup::start(certified.collect())
    }

    fn operator(&self, group: &MemberGroup) -> Admin {
        operator(&group.addresses()).with_ca(&self.ca())
    }
}

#[test]
fn members_proxies_and_operators_work_together_in_cipher() {
    let authority = Authority::new();
    let mut group = authority.group();
    let admin = authority.operator(&group);
    let redis = Redis::start();
    admin.run("group create --gid 1");
    admin.run(&format!("group add --gid 1 --addr {}", redis.address()));
    admin.run("slots assign --beg 0 --end 1023 --gid 1");
    let options = ProxyOptions::following(Path::new(PROXY), &group.addresses())
        .set(&format!("meta_tls_ca = {:?}", authority.ca()));
    let proxy = Proxy::start(&options);
    let mut client = proxy.client();
    eventually("the proxy serves", || client.run("SET a b") == Value::ok());
    // Whichever member leads: the others elect one over their own connections.
    for member in 0..3 {
        group.members[member].kill();
        let gid = 10 + member;
        admin.run(&format!("group create --gid {gid}"));
        group.members[member].restart();
    }
    admin.run("slots offline --beg 0 --end 1023 --confirm");
    eventually("the proxy follows", || client.run("GET a").error().is_some());
}

#[test]
fn who_does_not_trust_the_authority_is_told_so() {
    let authority = Authority::new();
    let other = Authority::new();
    let group = authority.group();
    authority.operator(&group).run("group create --gid 1");
    let said = operator(&group.addresses()).with_ca(&other.ca()).refused("--timeout 1 group list");
    assert!(said.contains("certificate"), "{said}");
    let said = operator(&group.addresses()).refused("--timeout 1 group list");
    assert!(said.contains("--tls-ca"), "{said}");
    let options = ProxyOptions::following(Path::new(PROXY), &group.addresses())
        .set(&format!("meta_tls_ca = {:?}", other.ca()));
    let proxy = Proxy::launch(&options);
    eventually("the proxy says why", || proxy.process().printed().contains("certificate"));
    let plain = Proxy::launch(&ProxyOptions::following(Path::new(PROXY), &group.addresses()));
    eventually("it is told what to set", || plain.process().printed().contains("meta_tls_ca"));
}

#[test]
fn a_member_with_a_strangers_certificate_takes_no_part() {
    let authority = Authority::new();
    let mut group = authority.group();
    let admin = authority.operator(&group);
    admin.run("group create --gid 1");
    // The same member, with a certificate that the others do not trust.
    let stranger = Authority::new();
    let mut options = group.members[2].options().clone();
    options.data_dir = Some(group.members[2].data_dir());
    options.config = String::new();
    group.members[2].kill();
    let impostor = Member::start(stranger.certify("stranger", options));
    admin.run("group create --gid 2");
    group.members[1].kill();
    let said = admin.refused("--timeout 3 group create --gid 3");
    assert!(!said.is_empty());
    drop(impostor);
    group.members[1].restart();
    admin.run("group create --gid 4");
}
