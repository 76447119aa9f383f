//! Real PostgreSQL and MariaDB servers on the database hosts.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::lab::{FORWARDER, Host, Lab};
use crate::process::{Running, attempt, eventually, output};

/// A PostgreSQL server with TLS, on port 5432 of a host.
pub(crate) struct Postgres {
    server: Running,
    folder: PathBuf,
    host: Host,
}

impl Postgres {
    /// Its `who()` names the host.
    pub(crate) fn start(lab: &Lab, host: Host) -> Self {
        let folder = lab.folder().join(format!("postgres-{host:?}"));
        let bin = output(Command::new("sh").args(["-c", "ls -d /usr/lib/postgresql/*/bin | tail -n 1"]));
        let prepare = format!(
            "set -e; mkdir {data}; chown postgres {data}
as='setpriv --reuid postgres --regid postgres --init-groups'
$as {bin}/initdb -D {data} --no-sync --auth=trust --no-instructions -E UTF8 --locale=C >/dev/null
openssl req -new -x509 -nodes -subj /CN=db -days 2 -keyout {data}/server.key -out {data}/server.crt 2>/dev/null
chmod 600 {data}/server.key; chown postgres {data}/server.key
echo 'host all all all trust' >>{data}/pg_hba.conf",
            data = folder.display(),
            bin = bin.trim(),
        );
        output(Command::new("sh").args(["-c", &prepare]));
        let mut postgres = Self { server: Self::run(lab, host, &folder), folder, host };
        postgres.wait(lab);
        let create = format!("CREATE FUNCTION who() RETURNS text LANGUAGE sql AS $$ SELECT '{host:?}' $$");
        let local = ["psql", "-qh", "127.0.0.1", "-U", "postgres", "-c", &create];
        output(lab.on(host).args(local));
        postgres
    }

    fn run(lab: &Lab, host: Host, folder: &std::path::Path) -> Running {
        let log = folder.with_extension("log");
        let log = std::fs::File::options().create(true).append(true).open(log).expect("the server's log");
        let mut command = lab.on(host);
        command.args(["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", "sh", "-c"]);
        let settings = "-c listen_addresses='*' -c unix_socket_directories='' -c fsync=off -c ssl=on -c shared_buffers=16MB";
        let line = format!("exec /usr/lib/postgresql/*/bin/postgres -D {} {settings}", folder.display());
        command.arg(line).stderr(log).stdout(Stdio::null());
        Running::start(&mut command, "QUIT")
    }

    fn wait(&mut self, lab: &Lab) {
        let ready = "psql -qh 127.0.0.1 -U postgres -c 'SELECT 1'";
        eventually(Duration::from_secs(30), "PostgreSQL accepts connections", || {
            assert!(!self.server.is_over(), "PostgreSQL ended: {}", self.log());
            lab.try_sh(self.host, ready).is_ok()
        });
    }

    pub(crate) fn stop(&mut self) {
        self.server.signal("QUIT");
        let server = &mut self.server;
        eventually(Duration::from_secs(10), "PostgreSQL stops", || server.is_over());
    }

    pub(crate) fn start_again(&mut self, lab: &Lab) {
        self.server = Self::run(lab, self.host, &self.folder);
        self.wait(lab);
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.with_extension("log")).unwrap_or_default()
    }
}

/// A MariaDB server on port 3306 of a host, which blocks an address after three interrupted handshakes.
pub(crate) struct MariaDb {
    _server: Running,
    folder: PathBuf,
}

impl MariaDb {
    pub(crate) fn start(lab: &Lab, host: Host) -> Self {
        let folder = lab.folder().join("mariadb");
        let prepare = format!(
            "mkdir {data} && chown mysql {data} && mariadb-install-db --no-defaults --user=mysql --datadir={data} --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve >/dev/null",
            data = folder.display(),
        );
        output(Command::new("sh").args(["-c", &prepare]));
        // One statement a line, run at the start.
        let init = lab.write(
            "init.sql",
            "CREATE USER reader@'%' IDENTIFIED BY 'secret';\nGRANT ALL ON *.* TO reader@'%' WITH GRANT OPTION;\n",
        );
        let log = std::fs::File::create(folder.with_extension("log")).expect("the server's log");
        // Interrupted handshakes are counted only for addresses that have names.
        let hosts = lab.write("hosts", "127.0.0.1 localhost\n10.77.3.1 forwarder.corp.example\n");
        let exec = format!("mount --bind {} /etc/hosts && exec mariadbd \"$@\"", hosts.display());
        let mut command = lab.on(host);
        command.args(["sh", "-c", &exec, "sh"]);
        command.args(["--no-defaults", "--user=mysql", "--max-connect-errors=3", "--bind-address=0.0.0.0"]);
        command.args([
            "--innodb-buffer-pool-size=8M",
            "--innodb-log-file-size=4M",
            "--innodb-flush-method=nosync",
        ]);
        command
            .arg(format!("--datadir={}", folder.display()))
            .arg(format!("--socket={}/s", folder.display()));
        command
            .arg(format!("--init-file={}", init.display()))
            .arg("--pid-file=pid")
            .stderr(log)
            .stdout(Stdio::null());
        let mut server = Running::start(&mut command, "KILL");
        let ready = "mariadb -h 127.0.0.1 -u reader -psecret -e 'SELECT 1'";
        eventually(Duration::from_secs(60), "MariaDB accepts connections", || {
            let log = std::fs::read_to_string(folder.with_extension("log")).unwrap_or_default();
            assert!(!server.is_over(), "MariaDB ended: {log}");
            lab.try_sh(host, ready).is_ok()
        });
        Self { _server: server, folder }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.with_extension("log")).unwrap_or_default()
    }
}

/// One query by a new PostgreSQL connection from the consumer, through the forwarder.
pub(crate) fn psql(lab: &Lab, listen: u16, query: &str) -> Result<String, String> {
    let url = format!("host={FORWARDER} port={listen} user=postgres connect_timeout=3");
    asked(lab.on(Host::Consumer).args(["psql", "-qAt", &url, "-c", query]))
}

/// One query by a new MariaDB connection from the consumer, through the forwarder.
pub(crate) fn mariadb(lab: &Lab, listen: u16, query: &str) -> Result<String, String> {
    let port = listen.to_string();
    let who = ["-u", "reader", "-psecret", "--connect-timeout=3", "-N", "-B", "-e", query];
    asked(lab.on(Host::Consumer).args(["mariadb", "-h", FORWARDER, "-P", &port]).args(who))
}

fn asked(command: &mut Command) -> Result<String, String> {
    let output = attempt(command);
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A PostgreSQL session that stays open.
pub(crate) struct Session {
    psql: Running,
    answers: BufReader<std::process::ChildStdout>,
}

impl Session {
    pub(crate) fn open(lab: &Lab, listen: u16) -> Self {
        let url = format!("host={FORWARDER} port={listen} user=postgres connect_timeout=3");
        let mut command = lab.on(Host::Consumer);
        command
            .args(["psql", "-qAtX", &url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut psql = Running::start(&mut command, "KILL");
        let answers = BufReader::new(psql.stdout());
        Self { psql, answers }
    }

    /// The database's answer, or nothing when the session is over.
    pub(crate) fn ask(&mut self, query: &str) -> Option<String> {
        self.psql.say(&format!("{query};")).ok()?;
        let mut line = String::new();
        self.answers.read_line(&mut line).ok().filter(|size| *size > 0)?;
        Some(line.trim().to_owned())
    }
}
