//! privnet as a library: a session that plans, applies, accepts and watches private connections.
