//! Names behind a resolver that holds answers: copies of one answer are no further answers.

use std::sync::Arc;

use hickory_resolver::proto::op::{Message, MessageType};
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{Record, RecordType};
use privnet_core::execute::{Events, Settings};
use tokio::net::UdpSocket;

use super::*;
use crate::facts::Registered;

/// A second of a name server takes a millisecond.
const PACE: f64 = 1_000.0;

/// A resolver that asks its name server when it holds no answer, and gives copies of the answer while it does.
struct Caching {
    address: SocketAddr,
    /// The answers that it got.
    fetched: Arc<Mutex<Vec<IpAddr>>>,
}

impl Caching {
    /// Of a name whose answers hold so many seconds; the first is the first of these, and so on; then the last.
    async fn of(ttl: u32, answers: Vec<IpAddr>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let fetched: Arc<Mutex<Vec<IpAddr>>> = Arc::default();
        let all = Arc::clone(&fetched);
        tokio::spawn(async move {
            let (mut held, mut buffer) = (None::<(IpAddr, Instant)>, [0_u8; 4096]);
            loop {
                let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
                let query = Message::from_vec(&buffer[..length]).unwrap();
                let question = query.queries[0].clone();
                let mut message =
                    Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
                message.add_query(question.clone());
                if question.query_type == RecordType::A {
                    let now = Instant::now();
                    let (ip, until) = held.filter(|(_, until)| now < *until).unwrap_or_else(|| {
                        let mut all = all.lock().unwrap();
                        let ip = answers[all.len().min(answers.len() - 1)];
                        all.push(ip);
                        (ip, now + Duration::from_secs(ttl.into()).div_f64(PACE))
                    });
                    held = Some((ip, until));
                    let left = (until - now).mul_f64(PACE).as_secs_f64().ceil() as u32;
                    let IpAddr::V4(v4) = ip else { unreachable!() };
                    message.add_answer(Record::from_rdata(
                        question.name.clone(),
                        left.min(ttl),
                        RData::A(A(v4)),
                    ));
                }
                let _ = socket.send_to(&message.to_vec().unwrap(), from).await;
            }
        });
        Self { address, fetched }
    }

    fn fetched(&self) -> usize {
        self.fetched.lock().unwrap().len()
    }

    /// One look at the name, while these are registered and healthy.
    async fn look(&self, memory: &Memory, registered: &[IpAddr], patience: Option<Duration>) -> ResolvedName {
        let context = Context::new(
            Settings { pace: PACE, patience, ..Settings::default() },
            Events::none(),
            Default::default(),
        );
        let asked: Asked = ("orders".into(), "5432".into(), "db.example".into());
        let name = sampled(Some(self.address), &Resolver::System, &asked, memory, &context).await;
        let healthy = registered.iter().map(|ip| Registered {
            id: ip.to_string(),
            port: 5432,
            zone: None,
            state: "healthy".into(),
            reason: None,
        });
        let facts = ServiceFacts {
            registered: BTreeMap::from([("5432".to_owned(), healthy.collect())]),
            ..ServiceFacts::default()
        };
        let look = Look { facts: &facts, listen: "5432", name, remembered: memory.of(&asked) };
        let client = client(Some(self.address), &Resolver::System).1;
        let (name, remembered) = look.finish(client, &context).await;
        memory.keep(asked, remembered);
        name
    }
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

const WATCH: Option<Duration> = Some(Duration::from_secs(60));

/// The old address of a name whose answers hold for 300 s is healthy: eight copies of one answer are one answer.
#[tokio::test]
async fn copies_of_one_answer_take_no_address_away_and_cost_no_time() {
    let resolver = Caching::of(300, vec![ip(1)]).await;
    let name = resolver.look(&Memory::default(), &[ip(1), ip(2)], None).await;
    let awaited = name.awaited[&ip(2)];
    assert!(awaited.absent <= 2 && awaited.demanded == GONE && !awaited.in_turn, "{awaited:?}");
    assert!(name.samples.len() <= 3, "who cannot count to the end does not wait: {name:?}");
}

/// Where answers hold for a minute one look gets enough of them.
#[tokio::test]
async fn a_name_that_moved_is_followed_by_a_single_look_where_answers_hold_for_a_minute() {
    let resolver = Caching::of(60, vec![ip(1)]).await;
    let name = resolver.look(&Memory::default(), &[ip(1), ip(2)], None).await;
    assert!(name.awaited.is_empty(), "{name:?}");
    assert!(resolver.fetched() >= GONE, "{} answers", resolver.fetched());
}

/// A watch counts over its rounds.
#[tokio::test]
async fn a_watch_follows_a_name_whose_answers_hold_long_in_the_end() {
    let (resolver, memory) = (Caching::of(300, vec![ip(1)]).await, Memory::default());
    let mut looks = 0;
    loop {
        let name = resolver.look(&memory, &[ip(1), ip(2)], WATCH).await;
        looks += 1;
        if name.awaited.is_empty() {
            break;
        }
        assert!(looks < 400, "{name:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(resolver.fetched() >= GONE, "gone after {} answers", resolver.fetched());
}

/// A weighted record that gives the other address now and then loses neither to a watch.
#[tokio::test]
async fn a_weighted_record_behind_a_cache_keeps_its_addresses() {
    let turns = [1, 1, 2, 2, 1, 1, 1, 2, 1, 1, 2];
    let resolver = Caching::of(45, turns.iter().map(|last| ip(*last)).collect()).await;
    let memory = Memory::default();
    while resolver.fetched() < turns.len() {
        let name = resolver.look(&memory, &[ip(1), ip(2)], WATCH).await;
        let hidden = [ip(1), ip(2)].into_iter().filter(|ip| !name.seen().contains(ip));
        for address in hidden {
            assert!(name.awaited.contains_key(&address), "{name:?}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Its first look, too: it comes again, and needs no chance of one in 256.
#[tokio::test]
async fn the_first_look_of_a_watch_takes_no_reader_away() {
    let readers: Vec<IpAddr> = (1..=3).map(ip).collect();
    let turns = [1, 2].into_iter().chain([1; 60]).map(ip).collect();
    let resolver = Caching::of(1, turns).await;
    let name = resolver.look(&Memory::default(), &readers, WATCH).await;
    let awaited = name.awaited[&ip(3)];
    assert!(awaited.in_turn && awaited.demanded == 52, "{awaited:?}");
    // Who asks once asks until he may take it away.
    let turns = [1, 2].into_iter().chain([1; 60]).map(ip).collect();
    let resolver = Caching::of(1, turns).await;
    let name = resolver.look(&Memory::default(), &readers, None).await;
    assert!(name.awaited.is_empty() && name.fresh() >= 14, "{name:?}");
}

/// With many readers whose answers hold long a single look could never end: it takes none away, and no time.
#[tokio::test]
async fn a_single_look_that_cannot_count_to_the_end_takes_no_reader_away() {
    let readers: Vec<IpAddr> = (1..=15).map(ip).collect();
    let resolver = Caching::of(30, (1..=9).map(ip).collect()).await;
    let name = resolver.look(&Memory::default(), &readers, None).await;
    let hidden: Vec<IpAddr> = readers.into_iter().filter(|ip| !name.seen().contains(ip)).collect();
    assert!(!hidden.is_empty() && hidden.iter().all(|ip| name.awaited.contains_key(ip)), "{name:?}");
    assert!(name.samples.len() <= MOST_SAMPLES + 1, "{name:?}");
}
