//! A bitcoind of a few lines, which answers what a test says.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver},
    },
    thread,
};

use serde_json::{Value, json};

use super::{BitcoindAuth, BitcoindConfig};

/// What it answers to a call: the method and its arguments in, status and body out.
pub(super) type Script = dyn Fn(&str, &Value) -> (u16, Value) + Send + Sync;

/// A listener, and the calls that came.
pub(super) struct Stub {
    pub(super) url: String,
    script: Arc<Mutex<Box<Script>>>,
    calls: Receiver<String>,
}

impl Stub {
    pub(super) fn new(script: impl Fn(&str, &Value) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Box::new(script) as Box<Script>));
        let (heard, calls) = mpsc::channel();
        let answers = script.clone();
        // It ends with the test's process.
        let serves = thread::Builder::new().spawn(move || {
            for stream in server.incoming().flatten() {
                let (answers, heard) = (answers.clone(), heard.clone());
                let one = thread::Builder::new().spawn(move || {
                    let mut stream = BufReader::new(stream);
                    while let Some((method, params)) = request(&mut stream) {
                        let (status, body) = (answers.lock().unwrap())(&method, &params);
                        let _ = heard.send(method);
                        reply(stream.get_mut(), status, &body);
                    }
                });
                drop(one);
            }
        });
        drop(serves);
        Self { url, script, calls }
    }

    /// Answers otherwise from now on.
    pub(super) fn answers(&self, script: impl Fn(&str, &Value) -> (u16, Value) + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    pub(super) fn config(&self) -> BitcoindConfig {
        let auth = BitcoindAuth::UserPass("me".into(), "secret".into());
        BitcoindConfig { url: self.url.clone(), auth }
    }

    /// The calls since this was asked last.
    pub(super) fn calls(&self) -> Vec<String> {
        self.calls.try_iter().collect()
    }
}

/// A result, as bitcoind wraps it.
pub(super) fn result(result: Value) -> (u16, Value) {
    (200, json!({"result": result, "error": null, "id": 1}))
}

/// A refusal, as bitcoind wraps it.
pub(super) fn error(code: i64, message: &str) -> (u16, Value) {
    (500, json!({"result": null, "error": {"code": code, "message": message}, "id": 1}))
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let call: Value = serde_json::from_slice(&body).ok()?;
    Some((call["method"].as_str()?.to_owned(), call["params"].clone()))
}

fn reply(stream: &mut TcpStream, status: u16, body: &Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(answer.as_bytes());
}
