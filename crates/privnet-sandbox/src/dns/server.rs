//! Answers queries over UDP.

use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, TXT};
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::names::{Behaviour, Name, Names};

/// Serves until told to stop.
pub(crate) async fn serve(socket: UdpSocket, names: Names, stop: CancellationToken) {
    let names = Arc::new(names);
    let mut buffer = [0u8; 4096];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            () = stop.cancelled() => return,
        };
        // An error here is the network's word about an earlier answer (port unreachable): nothing to do.
        let Ok((length, client)) = received else { continue };
        let Ok(query) = Message::from_vec(&buffer[..length]) else { continue };
        let names = names.clone();
        let answer = tokio::task::spawn_blocking(move || answer(&query, &names)).await;
        if let Ok(Some(text)) = answer.map(|message| message.to_vec().ok()) {
            let _ = socket.send_to(&text, client).await;
        }
    }
}

fn answer(query: &Message, names: &Names) -> Message {
    let mut message = Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
    message.metadata.recursion_desired = query.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.metadata.authoritative = true;
    let Some(question) = query.queries.first().filter(|_| query.metadata.op_code == OpCode::Query) else {
        message.metadata.response_code = ResponseCode::NotImp;
        return message;
    };
    message.add_query(question.clone());
    let (code, records) = match names.query(&question.name.to_ascii()) {
        Ok(None) => (ResponseCode::NXDomain, Vec::new()),
        Ok(Some(name)) if name.behaviour != Behaviour::Fail => {
            (ResponseCode::NoError, records(&name, question.query_type))
        }
        _ => (ResponseCode::ServFail, Vec::new()),
    };
    message.metadata.response_code = code;
    message.add_answers(
        records.into_iter().map(|data| Record::from_rdata(question.name.clone(), super::TTL, data)),
    );
    message
}

fn records(name: &Name, kind: RecordType) -> Vec<RData> {
    match kind {
        RecordType::TXT => name.text.iter().map(|text| RData::TXT(TXT::new(vec![text.clone()]))).collect(),
        RecordType::A | RecordType::AAAA => name
            .addresses
            .iter()
            .filter_map(|address| match address {
                IpAddr::V4(v4) if kind == RecordType::A => Some(RData::A(A(*v4))),
                IpAddr::V6(v6) if kind == RecordType::AAAA => Some(RData::AAAA(AAAA(*v6))),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::Query;

    fn ask(names: &Names, name: &str, kind: RecordType) -> Message {
        let mut query = Message::query();
        query.add_query(Query::query(name.parse().unwrap(), kind));
        answer(&query, names)
    }

    #[test]
    fn each_kind_of_answer() {
        let dir = tempfile::tempdir().unwrap();
        let names = Names::open(dir.path()).unwrap();
        let orders = "orders.cluster-abc.us-east-1.rds.amazonaws.com.";
        let found = ask(&names, orders, RecordType::A);
        assert_eq!(found.answers.len(), 1);
        assert_eq!(found.answers[0].ttl, 5);
        assert!(ask(&names, orders, RecordType::AAAA).answers.is_empty());
        assert_eq!(ask(&names, "no.such.", RecordType::A).metadata.response_code, ResponseCode::NXDomain);
        names.set(orders, &[]).unwrap();
        let empty = ask(&names, orders, RecordType::A);
        assert_eq!((empty.metadata.response_code, empty.answers.len()), (ResponseCode::NoError, 0));
        names.set_behaviour(orders, Behaviour::Fail).unwrap();
        assert_eq!(ask(&names, orders, RecordType::A).metadata.response_code, ResponseCode::ServFail);
    }
}
