//! The status of services.

use std::fmt::Write as _;

use privnet_core::status::{ServiceState, ServiceStatus};
use privnet_core::world::TargetState;

use super::{Paint, Style, who};

/// All services for people.
pub(crate) fn status_text(services: &[ServiceStatus], paint: Paint) -> String {
    let mut out = String::new();
    for (index, service) in services.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        one(&mut out, service, paint);
    }
    out
}

fn one(out: &mut String, service: &ServiceStatus, paint: Paint) {
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
    for note in &service.notes {
        let _ = writeln!(out, "    {note}");
    }
    let width = service.targets.iter().map(|target| target.id.len()).max().unwrap_or(0);
    for target in &service.targets {
        let (word, style) = match target.state {
            TargetState::Healthy => ("healthy", Style::Good),
            TargetState::Starting => ("starting", Style::Change),
            TargetState::Draining => ("draining", Style::Change),
            TargetState::Unhealthy => ("unhealthy", Style::Bad),
            TargetState::Unknown => ("unknown", Style::Dim),
        };
        let words = paint.on(Style::Dim, format!("({})", target.cloud_state));
        let _ = writeln!(out, "  target      {:<width$}  {}  {words}", target.id, paint.on(style, word));
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
