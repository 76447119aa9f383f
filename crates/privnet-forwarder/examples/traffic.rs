//! Traffic for the benchmark: `traffic serve PORT`, or `traffic throughput|rate|latency ADDRESS PORT`, which prints one number.
//!
//! Throughput is bytes for each second that the server sends (a database mostly sends); rate is connections for each second, each with one
//! question and one answer; latency is the median microseconds from a question to its answer on a connection that stays.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

type Error = Box<dyn std::error::Error>;

/// Short, so that whoever takes paths by turns comes round soon: what else runs on the machine then disturbs all of them alike.
const SECONDS: f64 = 0.5;
const CONNECTIONS: u32 = 500;
const ROUND_TRIPS: usize = 1000;
const QUESTION: [u8; 64] = [b'?'; 64];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["serve", port] => serve(port),
        ["throughput", address, port] => throughput(&format!("{address}:{port}")).and_then(print),
        ["rate", address, port] => rate(&format!("{address}:{port}")).and_then(print),
        ["latency", address, port] => latency(&format!("{address}:{port}")).and_then(print),
        _ => Err("say serve PORT, or throughput|rate|latency ADDRESS PORT".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[allow(clippy::print_stderr, reason = "a program says on standard error why it failed")]
fn fail(error: &Error) -> ExitCode {
    eprintln!("traffic: {error}");
    ExitCode::FAILURE
}

fn print(number: f64) -> Result<(), Error> {
    writeln!(std::io::stdout(), "{number:.1}")?;
    Ok(())
}

/// The first byte of a connection says what it wants: a flood, or answers.
fn serve(port: &str) -> Result<(), Error> {
    let listener = TcpListener::bind(format!("0.0.0.0:{port}"))?;
    writeln!(std::io::stdout(), "ready")?;
    for client in listener.incoming() {
        let mut client = client?;
        std::thread::spawn(move || -> std::io::Result<()> {
            client.set_nodelay(true)?;
            let mut kind = [0];
            client.read_exact(&mut kind)?;
            if kind == *b"F" {
                let flood = vec![0; 256 * 1024];
                loop {
                    client.write_all(&flood)?;
                }
            }
            // One answer for `1`; then the server closes, so that it keeps the closed connection and the client's port is free.
            let mut question = QUESTION;
            loop {
                client.read_exact(&mut question)?;
                client.write_all(&question)?;
                if kind == *b"1" {
                    return Ok(());
                }
            }
        });
    }
    Ok(())
}

fn connect(target: &str, kind: u8) -> Result<TcpStream, Error> {
    let mut stream = TcpStream::connect(target)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(&[kind])?;
    Ok(stream)
}

fn throughput(target: &str) -> Result<f64, Error> {
    let mut stream = connect(target, b'F')?;
    let mut buffer = vec![0; 256 * 1024];
    let mut read_for = |seconds: f64| -> Result<f64, Error> {
        let (start, mut bytes) = (Instant::now(), 0.0);
        while start.elapsed().as_secs_f64() < seconds {
            bytes += stream.read(&mut buffer)? as f64;
        }
        Ok(bytes / start.elapsed().as_secs_f64())
    };
    read_for(0.1)?;
    read_for(SECONDS)
}

fn rate(target: &str) -> Result<f64, Error> {
    let one = |_| -> Result<(), Error> {
        let mut stream = connect(target, b'1')?;
        stream.write_all(&QUESTION)?;
        stream.read_to_end(&mut Vec::new())?;
        Ok(())
    };
    let start = Instant::now();
    (0..CONNECTIONS).try_for_each(one)?;
    Ok(f64::from(CONNECTIONS) / start.elapsed().as_secs_f64())
}

fn latency(target: &str) -> Result<f64, Error> {
    let mut stream = connect(target, b'A')?;
    let mut answer = QUESTION;
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        stream.write_all(&QUESTION)?;
        stream.read_exact(&mut answer)?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[ROUND_TRIPS / 2].as_secs_f64() * 1e6)
}
