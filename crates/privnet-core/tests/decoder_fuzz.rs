//! placeholder
#[test]
fn try_it() {
    let text = include_str!("bad_files/good/format.yaml");
    match privnet_core::spec::decode("format.yaml", text) {
        Ok(spec) => println!("{}", serde_json::to_string_pretty(&spec).unwrap()),
        Err(errors) => panic!("\n{}", privnet_core::spec::render_all(&errors, false)),
    }
}
