//! Output that is written by a thread of its own: whoever has something to say never waits for a reader.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

/// So many messages wait for a reader who is slow; what comes then is lost, and counted.
const WAITING: usize = 256;

/// A message, how many before it were lost, and who is told when it is written.
struct Message {
    lost: u64,
    bytes: Vec<u8>,
    written: Option<Sender<()>>,
}

/// Where messages are put.
#[derive(Debug)]
pub(crate) struct Lines {
    send: SyncSender<Message>,
    lost: AtomicU64,
}

impl Lines {
    /// Begins. `write` writes a message and may block; `lost` is the message that stands for so many that were lost.
    pub(crate) fn new(
        write: impl Fn(&[u8]) + Send + 'static,
        lost: impl Fn(u64) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let (send, receive) = sync_channel::<Message>(WAITING);
        std::thread::spawn(move || {
            for message in receive {
                if message.lost > 0 {
                    write(&lost(message.lost));
                }
                write(&message.bytes);
                if let Some(written) = message.written {
                    let _ = written.send(());
                }
            }
        });
        Self { send, lost: AtomicU64::new(0) }
    }

    /// Writes this when its turn comes. Returns whether there was room; if not it is lost.
    pub(crate) fn put(&self, bytes: Vec<u8>) -> bool {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let sent = self.send.try_send(Message { lost, bytes, written: None });
        if sent.is_err() {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
        sent.is_ok()
    }

    /// Writes this last, and waits until all is written; not longer than `patience` for a reader who does not read.
    pub(crate) fn end(&self, bytes: Vec<u8>, patience: Duration) {
        let end = Instant::now() + patience;
        let (tell, written) = channel();
        let mut message = Message { lost: self.lost.swap(0, Ordering::Relaxed), bytes, written: Some(tell) };
        while let Err(TrySendError::Full(again)) = self.send.try_send(message) {
            if Instant::now() >= end {
                return;
            }
            message = again;
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = written.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[test]
    fn nobody_waits_for_a_reader_and_what_is_lost_is_told_in_its_place() {
        let gate = Arc::new(Mutex::new(()));
        let told = Arc::new(Mutex::new(Vec::new()));
        let (closed, log) = (Arc::clone(&gate), Arc::clone(&told));
        let write = move |bytes: &[u8]| {
            drop(closed.lock().unwrap_or_else(PoisonError::into_inner));
            log.lock().unwrap().push(String::from_utf8(bytes.to_vec()).unwrap());
        };
        let lines = Lines::new(write, |lost| format!("{lost} lost").into_bytes());
        let reader = gate.lock().unwrap();
        let total = 2 * WAITING;
        let mut kept = (0..total).filter(|number| lines.put(number.to_string().into_bytes())).count();
        // The thread may hold one message already, or not yet.
        assert!((WAITING..=WAITING + 1).contains(&kept), "{kept}");
        drop(reader);
        while !lines.put(b"again".to_vec()) {
            std::thread::yield_now();
        }
        kept += 1;
        lines.end(b"last".to_vec(), Duration::from_secs(60));
        let told = told.lock().unwrap();
        let (numbers, end) = told.split_at(told.len() - 2);
        assert_eq!(end, ["again", "last"]);
        // The thread may take its first message at any time, which makes room for another one: what was lost is told before each that came
        // after it.
        let (mut next, mut written) = (0, 1);
        for line in numbers {
            if let Some(lost) = line.strip_suffix(" lost") {
                next += lost.parse::<usize>().unwrap();
            } else {
                assert_eq!(line, &next.to_string(), "{told:?}");
                next += 1;
                written += 1;
            }
        }
        assert_eq!(written, kept, "{told:?}");
        assert!(next >= total, "{next} of {total}: {told:?}");
    }

    #[test]
    fn a_reader_who_never_reads_holds_up_no_end() {
        let gate = Arc::new(Mutex::new(()));
        let closed = Arc::clone(&gate);
        let reader = gate.lock().unwrap();
        let write = move |_: &[u8]| drop(closed.lock().unwrap_or_else(PoisonError::into_inner));
        let lines = Lines::new(write, |_| Vec::new());
        for number in 0..2 * WAITING {
            lines.put(number.to_string().into_bytes());
        }
        lines.end(b"last".to_vec(), Duration::from_millis(100));
        drop(reader);
    }
}
