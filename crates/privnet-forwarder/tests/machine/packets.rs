//! What passes through a forwarder, and what does not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use privnet_forwarder::{Engine, Machine, Settings};

use crate::databases::{MariaDb, Postgres, mariadb, psql};
use crate::lab::{FIRST, FORWARDER, Host, Lab, SECOND, map, quick};
use crate::process::Running;

/// A TCP server that tells each client its name, the client's address and the connection's segment size.
fn echo(lab: &Lab, host: Host, port: u16) -> Running {
    let script = "import socket, sys
server = socket.create_server(('', int(sys.argv[2])), backlog=64)
print('ready', flush=True)
while True:
    client, peer = server.accept()
    size = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    try:
        client.sendall(f'{sys.argv[1]} {peer[0]} {size}\\n'.encode())
    except OSError:
        pass
    client.close()
";
    let mut command = lab.on(host);
    command
        .args(["/usr/bin/python3", "-c", script, &format!("{host:?}"), &port.to_string()])
        .stdout(Stdio::piped());
    let mut server = Running::start(&mut command, "KILL");
    BufReader::new(server.stdout()).read_line(&mut String::new()).expect("the server speaks");
    server
}

/// What such a server said to the consumer, or nothing.
fn ask(lab: &Lab, address: &str, port: u16) -> Option<Vec<String>> {
    let script = "import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 2) as sock:
    print(sock.makefile().readline())
";
    let line = format!("/usr/bin/python3 -c \"{script}\" {address} {port}");
    let said = lab.try_sh(Host::Consumer, &line).ok()?;
    Some(said.split_whitespace().map(str::to_owned).collect())
}

#[test]
fn two_databases_are_queried_at_once_through_two_ports() {
    let Some(mut lab) = Lab::build() else { return };
    let _postgres = Postgres::start(&lab, Host::First);
    let _mariadb = MariaDb::start(&lab, Host::Second);
    let maps = [map(15_432, FIRST, 5432, Engine::Postgres), map(13_306, SECOND, 3306, Engine::Mysql)];
    lab.up(&maps, quick());
    let lab = &lab;
    std::thread::scope(|scope| {
        for worker in 0..4 {
            scope.spawn(move || {
                for round in 0..10 {
                    let number = worker * 100 + round;
                    // Large enough for many full segments.
                    let query = format!("SELECT {number}, length(repeat('x', 300000)), repeat('y', 200000)");
                    let pg = psql(lab, 15_432, &query).expect("PostgreSQL answers");
                    assert!(pg.starts_with(&format!("{number}|300000|y")) && pg.len() > 200_000, "{number}");
                    let maria = mariadb(lab, 13_306, &query).expect("MariaDB answers");
                    assert!(
                        maria.starts_with(&format!("{number}\t300000\ty")) && maria.len() > 200_000,
                        "{number}"
                    );
                }
            });
        }
    });
    let seen = psql(lab, 15_432, "SELECT host(inet_client_addr())").expect("PostgreSQL answers");
    assert_eq!(seen, "10.77.2.1", "the database sees the forwarder");
}

#[test]
fn a_packet_for_the_load_balancers_own_address_is_forwarded() {
    let Some(mut lab) = Lab::build() else { return };
    let _server = echo(&lab, Host::First, 7000);
    let maps = [map(7001, FIRST, 7000, Engine::Other)];
    lab.up(&maps, quick());
    // The address of a forwarding rule: no machine has it, packets for it are delivered to the forwarder.
    let said = ask(&lab, "192.0.2.9", 7001).expect("forwarded");
    assert_eq!(said[..2], ["First", "10.77.2.1"]);
    let url = format!("curl -sS -m 3 http://192.0.2.9:{}/", maps[0].health_port);
    assert_eq!(lab.sh(Host::Consumer, &url), "ok\n", "probes come for that address, too");
}

#[test]
fn a_dedicated_machine_forwards_nothing_else() {
    let Some(mut lab) = Lab::build() else { return };
    let _server = echo(&lab, Host::First, 7000);
    let _other = echo(&lab, Host::First, 7002);
    for host in [Host::First, Host::Second] {
        let net = if host == Host::First { 2 } else { 3 };
        lab.sh(host, &format!("ip route add default via 10.77.{net}.1"));
    }
    lab.sh(Host::Forwarder, "sysctl -qw net.ipv4.ip_forward=1");
    assert!(ask(&lab, FIRST, 7002).is_some(), "a machine that forwards is a router at first");
    lab.up(&[map(7001, FIRST, 7000, Engine::Other)], quick());
    assert!(ask(&lab, FORWARDER, 7001).is_some());
    assert_eq!(ask(&lab, FIRST, 7002), None, "with the rules it is none");
    assert_eq!(ask(&lab, FORWARDER, 7002), None);
}

#[test]
fn a_shared_machine_leaves_the_traffic_of_others_alone() {
    let Some(mut lab) = Lab::build() else { return };
    let _server = echo(&lab, Host::First, 7000);
    let _other = echo(&lab, Host::Second, 7001);
    lab.sh(Host::Second, "ip route add default via 10.77.3.1");
    lab.sh(Host::Forwarder, "sysctl -qw net.ipv4.ip_forward=1");
    let maps = [map(7001, FIRST, 7000, Engine::Other)];
    lab.up(&maps, Settings { machine: Machine::Shared, ..quick() });
    assert_eq!(ask(&lab, FORWARDER, 7001).expect("forwarded")[0], "First");
    let said = ask(&lab, SECOND, 7001).expect("routed");
    assert_eq!(said[..2], ["Second", "10.77.1.2"], "neither taken over nor masqueraded");
    // A service of the machine itself, on the loopback interface, keeps its clients.
    let local = echo(&lab, Host::Forwarder, 7001);
    let line = "/usr/bin/python3 -c \"import socket; print(socket.create_connection(('127.0.0.1', 7001)).recv(99))\"";
    assert!(lab.sh(Host::Forwarder, line).contains("Forwarder"), "loopback is not forwarded");
    drop(local);
}

#[test]
fn segments_are_clamped_to_the_narrower_side() {
    let Some(mut lab) = Lab::build() else { return };
    let _server = echo(&lab, Host::First, 7000);
    // A tunnel behind the forwarder, as to a database on-premises; the hosts on both sides believe in 1500.
    lab.sh(Host::Forwarder, "ip route replace 10.77.2.0/24 dev eth1 mtu lock 1300");
    lab.up(&[map(7001, FIRST, 7000, Engine::Other)], quick());
    let said = ask(&lab, FORWARDER, 7001).expect("forwarded");
    let size: u32 = said[2].parse().expect("a size");
    assert!(size <= 1260, "the server sends segments of {size}");
}

#[test]
fn only_probers_may_ask_for_health() {
    let Some(mut lab) = Lab::build() else { return };
    let _server = echo(&lab, Host::First, 7000);
    let maps = [map(7001, FIRST, 7000, Engine::Other)];
    lab.up(&maps, Settings { probe_sources: vec!["10.77.1.0/24".parse().expect("a range")], ..quick() });
    let from_elsewhere = format!("curl -sS -m 2 http://10.77.2.1:{}/", maps[0].health_port);
    assert!(lab.try_sh(Host::First, &from_elsewhere).is_err());
    assert!(ask(&lab, FORWARDER, 7001).is_some());
}

/// A kernel without flow tables gets the same rules without them; one that has them must have taken ours.
#[test]
fn flows_are_offloaded_where_the_kernel_can() {
    let Some(mut lab) = Lab::build() else { return };
    let _server = echo(&lab, Host::First, 7000);
    // What the kernel can, asked without our rules.
    let probe = "nft -f - <<'END'
table ip probe {
	flowtable f {
		hook ingress priority 0
		devices = { eth0 }
	}
}
END
nft delete table ip probe";
    let can = lab.try_sh(Host::Forwarder, probe);
    lab.up(&[map(7001, FIRST, 7000, Engine::Other)], quick());
    assert!(ask(&lab, FORWARDER, 7001).is_some());
    let table = lab.sh(Host::Forwarder, "nft list table ip privnet_forwarder");
    assert_eq!(table.contains("flow add @fast"), can.is_ok(), "{can:?}\n{table}");
    assert_eq!(lab.agent_log().contains("no flow table"), can.is_err());
    if let Err(why) = can {
        // The grammar at least: nft reads our lines whole, and only the kernel refuses them.
        let rules =
            "sed -e 's/#fast//' -e 's/DEVICES/eth0, eth1/' /etc/privnet-forwarder/rules.nft | nft -c -f -";
        let refused = lab.try_sh(Host::Forwarder, rules).expect_err("the kernel cannot");
        assert!(!refused.contains("syntax error"), "{refused}");
        let _ = writeln!(
            std::io::stderr(),
            "\n*** this kernel has no flow tables, offload is unproven: {why} ***"
        );
    }
}
