//! Link arguments of `libdsma.so`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Never unmapped: aws-lc registers destructors of its own, and a fork handler cannot be taken back (`pthread_atfork`).
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
