//! A pseudo-terminal with a terminal emulator (vt100).

use std::{
    io::{Read, Write},
    process::{Child, Command},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use pty_process::{
    Size,
    blocking::{Command as PtyCommand, Pty, open},
};
use rustix::process::Pid;
use tokio::time::timeout;
use vt100::Parser;

use crate::support::sleep;

/// A command that runs on a pseudo-terminal.
pub(crate) struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    state: Arc<Mutex<ScreenState>>,
}

struct ScreenState {
    parser: Parser,
    /// All bytes that the command has written.
    bytes: Vec<u8>,
}

fn new_parser((rows, columns): (u16, u16)) -> Parser {
    Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 100)
}

impl Terminal {
    pub(crate) fn start(of: &Command, size: (u16, u16)) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(size.0, size.1)).unwrap();
        // The emulator does not reflow lines, so identify as xterm, which does not either.
        let mut run = PtyCommand::new(of.get_program()).args(of.get_args()).env_clear();
        run = run.env("TERM", "xterm-256color").env("XTERM_VERSION", "XTerm(379)");
        for (name, value) in of.get_envs() {
            run = run.env(name, value.unwrap());
        }
        let child = run.spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let mut parser = new_parser(size);
        parser.process(b"$ before\r\n");
        let state = Arc::new(Mutex::new(ScreenState { parser, bytes: Vec::new() }));
        let (reader, sees) = (pty.clone(), state.clone());
        // The thread ends when the command ends, because then no other process has the terminal
        // open.
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = (&*reader).read(&mut bytes) {
                let mut seen = sees.lock().unwrap();
                seen.parser.process(&bytes[..read]);
                seen.bytes.extend(&bytes[..read]);
            }
        });
        Self { pty, child, state }
    }

    /// Returns the rows of the screen, without empty rows at the end.
    pub(crate) fn screen(&self) -> String {
        let seen = self.state.lock().unwrap();
        let columns = seen.parser.screen().size().1.get();
        let rows = seen.parser.screen().rows(0, columns);
        let screen: String = rows.map(|row| format!("{}\n", row.trim_end())).collect();
        format!("{}\n", screen.trim_end())
    }

    /// Returns all bytes that the command has written.
    pub(crate) fn bytes(&self) -> String {
        String::from_utf8(self.state.lock().unwrap().bytes.clone()).unwrap()
    }

    pub(crate) fn is_cursor_hidden(&self) -> bool {
        self.state.lock().unwrap().parser.screen().hide_cursor()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until the screen fulfills a condition; `what` describes it in the panic message.
    pub(crate) async fn wait_until(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let found = timeout(Duration::from_secs(30), async {
            while !is_so(&self.screen()) {
                sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(found.await.is_ok(), "never {what}:\n{}", self.screen());
    }

    pub(crate) fn send_keys(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&self, size: (u16, u16)) {
        let mut seen = self.state.lock().unwrap();
        let (rows, columns) = (size.0.try_into().unwrap(), size.1.try_into().unwrap());
        seen.parser.screen_mut().set_size(rows, columns);
        self.pty.resize(Size::new(size.0, size.1)).unwrap();
    }

    /// Waits until the command has ended and all of its output was read. Returns the exit code.
    pub(crate) async fn wait_for_exit(&mut self) -> i32 {
        let code = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status.code().unwrap(),
                None => sleep(Duration::from_millis(10)).await,
            }
        };
        let mut before = usize::MAX;
        while before != self.state.lock().unwrap().bytes.len() {
            before = self.state.lock().unwrap().bytes.len();
            sleep(Duration::from_millis(50)).await;
        }
        code
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
