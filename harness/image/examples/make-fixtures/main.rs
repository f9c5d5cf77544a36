//! Writes the thermostat's images again: `cargo run -p proofbench-image --example make-fixtures`.

mod set;

use std::path::Path;

fn main() -> std::io::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/devices/thermostat/images");
    std::fs::create_dir_all(&dir)?;
    for fixture in set::fixtures() {
        std::fs::write(dir.join(fixture.file), &fixture.bytes)?;
        println!("{:22} {:6} bytes  {}", fixture.file, fixture.bytes.len(), fixture.what);
    }
    Ok(())
}
