//! The status of services.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use privnet_core::status::{ServiceState, ServiceStatus};
use privnet_core::world::{Target, TargetState};

use super::{Paint, Style, who};

/// All services for people. What is to be known of a place is said once, with the names of its services.
pub(crate) fn status_text(services: &[ServiceStatus], paint: Paint) -> String {
    let mut shared: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for service in services {
        for note in &service.of_place {
            shared.entry(note).or_default().push(&service.name);
        }
    }
    shared.retain(|_, names| names.len() > 1);
    let mut out = String::new();
    for (index, service) in services.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        one(&mut out, service, &shared, paint);
    }
    for (note, names) in shared {
        let _ = writeln!(out, "\n{} {}: {note}", paint.on(Style::Change, "warning"), names.join(", "));
    }
    out
}

fn one(out: &mut String, service: &ServiceStatus, shared: &BTreeMap<&str, Vec<&str>>, paint: Paint) {
    let (sign, word, style) = match service.state {
        ServiceState::Ready => ("●", "ready", Style::Good),
        ServiceState::Waiting => ("◐", "waiting", Style::Change),
        ServiceState::Degraded => ("✗", "degraded", Style::Bad),
        ServiceState::Absent => ("○", "absent", Style::Dim),
    };
    let name = paint.on(Style::Bold, &service.name);
    let _ = writeln!(
        out,
        "{} {name}  {}  {}",
        paint.on(style, sign),
        paint.on(style, word),
        paint.on(Style::Dim, service.cloud)
    );
    for note in service.notes.iter().filter(|note| !shared.contains_key(note.as_str())) {
        let _ = writeln!(out, "    {note}");
    }
    let targets: Vec<(String, &Target)> =
        service.targets.iter().map(|target| (whence(target), target)).collect();
    let width = targets.iter().map(|(id, _)| id.chars().count()).max().unwrap_or(0);
    for (id, target) in targets {
        let (word, style) = match target.state {
            TargetState::Healthy => ("healthy", Style::Good),
            TargetState::Starting => ("starting", Style::Change),
            TargetState::Draining => ("draining", Style::Change),
            TargetState::Unhealthy => ("unhealthy", Style::Bad),
            TargetState::Unknown => ("unknown", Style::Dim),
        };
        let words = paint.on(Style::Dim, format!("({})", target.cloud_state));
        let _ = writeln!(out, "  target      {id:<width$}  {}  {words}", paint.on(style, word));
    }
    for connection in &service.connections {
        let style = if connection.allowed { Style::Good } else { Style::Change };
        let consumer = connection.consumer.as_deref().unwrap_or("a stranger");
        let _ = writeln!(
            out,
            "  connection  {}  {}  {consumer} ({})",
            connection.id,
            paint.on(style, &connection.cloud_state),
            who(&connection.identity, &connection.id)
        );
        let _ = writeln!(out, "              {}", paint.on(Style::Dim, &connection.why));
    }
}

/// A target, and the port whose traffic it gets: two ports may share one.
fn whence(target: &Target) -> String {
    match target.listen {
        Some(listen) => format!("{listen} → {}", target.id),
        None => target.id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, of_place: &str) -> ServiceStatus {
        ServiceStatus {
            name: name.to_owned(),
            cloud: "azure",
            state: ServiceState::Degraded,
            targets: Vec::new(),
            connections: Vec::new(),
            notes: vec![of_place.to_owned(), "its own".to_owned()],
            of_place: vec![of_place.to_owned()],
        }
    }

    #[test]
    fn what_a_place_does_not_show_is_said_once() {
        let all = [service("billing", "far"), service("orders", "far"), service("other", "elsewhere")];
        let said = status_text(&all, Paint::Plain);
        assert_eq!((said.matches("far").count(), said.matches("its own").count()), (1, 3), "{said}");
        assert!(said.ends_with("\nwarning billing, orders: far\n"), "{said}");
        assert!(said.contains("other  degraded  azure\n    elsewhere\n"), "{said}");
        // A service alone has it among its own.
        assert!(status_text(&all[..1], Paint::Plain).ends_with("    far\n    its own\n"));
    }

    #[test]
    fn two_ports_that_share_a_target_are_told_apart() {
        let target = |listen| Target {
            id: "10.0.0.25:5432".to_owned(),
            listen,
            state: TargetState::Healthy,
            cloud_state: "healthy".to_owned(),
        };
        let mut one = service("orders", "far");
        one.targets = vec![target(Some(5432)), target(Some(15433)), target(None)];
        let said = status_text(&[one], Paint::Plain);
        for line in [
            "  target      5432 → 10.0.0.25:5432   healthy  (healthy)\n",
            "  target      15433 → 10.0.0.25:5432  healthy  (healthy)\n",
            "  target      10.0.0.25:5432          healthy  (healthy)\n",
        ] {
            assert!(said.contains(line), "{said}");
        }
    }
}
