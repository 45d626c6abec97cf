//! Promotions while leaders change, freeze and strike late, servers freeze and proxies do not answer: no write that
//! was acknowledged is ever lost, and once all is calm every server is where the state wants it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use codis_proto::meta::v1 as pb;
use pb::command::Change;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::model::{ModelMember, ModelServers, Shared, World, lock, run_mover, run_proxy};
use crate::drive::{Context, work};

const SERVERS: [&str; 3] = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"];
const PROXIES: [&str; 2] = ["a", "b"];
const SEEDS: u64 = 60;

/// How long things go wrong, and how long after that all may take to come to rest; in virtual time.
const STORM: Duration = Duration::from_secs(40);
const REST_MAX: Duration = Duration::from_secs(300);

fn found(world: &Shared) {
    let mut world = lock(world);
    let mut ok = |change: Change| {
        let outcome = world.apply(change, 0);
        assert!(matches!(outcome.result, Some(pb::outcome::Result::Accepted(_))), "{outcome:?}");
    };
    ok(Change::ProductCreate(pb::ProductCreate {
        name: "demo".into(),
        cluster: 1,
        ..pb::ProductCreate::default()
    }));
    ok(Change::GroupCreate(pb::GroupCreate { group: 1 }));
    for address in SERVERS {
        let address = address.to_owned();
        ok(Change::ServerAdd(pb::ServerAdd { group: 1, address, ..Default::default() }));
    }
    let slots = Some(pb::SlotRange { first: 0, last: 1023 });
    ok(Change::SlotsAssign(pb::SlotsAssign { slots, group: 1 }));
    for (number, token) in PROXIES.iter().enumerate() {
        ok(Change::ProxyRegister(pb::ProxyRegister {
            product: "demo".into(),
            protocol: 1,
            token: (*token).to_owned(),
            admin_addr: format!("10.1.0.{number}:1"),
            proxy_addr: format!("10.1.0.{number}:2"),
            proto_type: "tcp4".into(),
            start_unix_ms: 1,
            ..Default::default()
        }));
    }
    for address in &SERVERS[1..] {
        let server = world.servers.get_mut(*address).expect("it is there");
        server.follows = Some(SERVERS[0].to_owned());
    }
}

/// Makes a new leader. The one before may go on for a while without knowing.
fn change_leader(world: &Shared, leaders: &mut Vec<JoinHandle<()>>) {
    let id = {
        let mut world = lock(world);
        world.leader += 1;
        if world.random.bool() {
            leaders.drain(..).for_each(|leader| leader.abort());
        }
        world.leader
    };
    let member = ModelMember { world: Arc::clone(world), id };
    let context = Arc::new(Context::new(member.clone(), ModelServers(Arc::clone(world))));
    leaders.push(tokio::spawn(async move {
        tokio::join!(work::lead(&context, id), run_mover(member, &context.exclusion));
    }));
}

/// What operators do: promote a server, sync what does not follow, and sometimes something that they should not.
fn operate(world: &Shared) {
    let mut world = lock(world);
    let group = world.group().clone();
    let place = world.random.usize(1..group.servers.len());
    let address = group.servers[place].address.clone();
    let chance = world.random.u32(0..10);
    if chance == 0 {
        world.meddle(&address);
    }
    let change = if chance <= 2 || world.servers[&address].follows.is_some() {
        Change::GroupPromoteBegin(pb::GroupPromoteBegin { group: 1, target: address })
    } else {
        Change::GroupSyncBegin(pb::GroupSyncBegin { address })
    };
    world.apply(change, 0);
}

/// Freezes a server, or lets it run again.
fn freeze_or_thaw(world: &Shared) {
    let mut world = lock(world);
    let place = world.random.usize(0..SERVERS.len());
    let freeze = world.random.u32(0..4) == 0;
    world.servers.get_mut(SERVERS[place]).expect("it is there").frozen = freeze;
}

async fn storm(world: &Shared, leaders: &mut Vec<JoinHandle<()>>) {
    let end = Instant::now() + STORM;
    while Instant::now() < end {
        let (chance, length) = {
            let mut world = lock(world);
            (world.random.u32(0..10), world.random.u64(0..400))
        };
        match chance {
            0..=1 => change_leader(world, leaders),
            2..=5 => operate(world),
            6..=8 => freeze_or_thaw(world),
            _ => {}
        }
        sleep(Duration::from_millis(length)).await;
    }
}

/// Whether nothing is under way and every replica follows the master.
fn at_rest(world: &World) -> bool {
    let group = world.group();
    let master = &group.servers[0].address;
    let follows = |server: &pb::Server| {
        let model = &world.servers[&server.address];
        model.is_linked_to(&world.servers[master]) && server.sync.is_none()
    };
    let replicas = &group.servers[1..];
    group.promotion.is_none()
        && world.servers[master].follows.is_none()
        && replicas.iter().all(follows)
}

/// Waits for rest, as an operator who syncs what does not follow.
async fn calm_down(world: &Shared, seed: u64) {
    let end = Instant::now() + REST_MAX;
    while !at_rest(&lock(world)) {
        assert!(Instant::now() < end, "seed {seed}: no rest: {:?}", lock(world).group());
        let strays: Vec<String> = {
            let world = lock(world);
            let master = &world.group().servers[0].address;
            let master = &world.servers[master];
            let stray = |address: &&String| {
                let server = &world.servers[*address];
                server.follows.is_none() || server.linked && !server.is_linked_to(master)
            };
            let replicas = world.group().servers[1..].iter().map(|server| &server.address);
            replicas.filter(stray).cloned().collect()
        };
        for address in strays {
            let change = Change::GroupSyncBegin(pb::GroupSyncBegin { address });
            lock(world).apply(change, 0);
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// One history; answers how many promotions came to their end.
async fn simulate(seed: u64) -> usize {
    let world: Shared = Arc::new(Mutex::new(World::new(seed, &SERVERS)));
    found(&world);
    let mut tasks: Vec<JoinHandle<()>> =
        PROXIES.iter().map(|token| tokio::spawn(run_proxy(Arc::clone(&world), token))).collect();
    let replicating = Arc::clone(&world);
    tasks.push(tokio::spawn(async move {
        loop {
            lock(&replicating).replicate();
            sleep(Duration::from_millis(5)).await;
        }
    }));
    let mut leaders = Vec::new();
    change_leader(&world, &mut leaders);
    storm(&world, &mut leaders).await;
    {
        let mut world = lock(&world);
        world.calm = true;
        world.servers.values_mut().for_each(|server| server.frozen = false);
    }
    change_leader(&world, &mut leaders);
    calm_down(&world, seed).await;
    let world = lock(&world);
    let master = &world.servers[&world.group().servers[0].address];
    let lost = master.lacks(&world.acknowledged);
    assert!(lost.is_empty(), "seed {seed}: acknowledged writes were lost: {lost:?}");
    assert!(!world.acknowledged.is_empty(), "seed {seed}: nothing was written");
    tasks.into_iter().chain(leaders).for_each(|task| task.abort());
    world.promoted
}

#[test]
fn no_acknowledged_write_is_lost_whatever_leaders_servers_and_proxies_do() {
    let seeds = match std::env::var("CODIS_DRIVE_SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().expect("CODIS_DRIVE_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..SEEDS,
    };
    let mut promoted = 0;
    for seed in seeds {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime can be made");
        promoted += runtime.block_on(simulate(seed));
    }
    assert!(promoted > 0, "no promotion came to its end");
}
