//! Link arguments of `libdsma.so`, and what its cryptography must be compiled with.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Never unmapped: aws-lc gives each thread a destructor, and a fork handler cannot be taken back (`pthread_atfork`).
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");

    // Without it a process that ends while its threads are in calls may end by SIGABRT instead.
    println!("cargo::rerun-if-env-changed=AWS_LC_SYS_CFLAGS");
    if !std::env::var("AWS_LC_SYS_CFLAGS").is_ok_and(|flags| flags.contains("-Ddestructor=unused")) {
        println!("cargo::error=AWS_LC_SYS_CFLAGS lacks -Ddestructor=unused: call cargo inside of this tree, or see its .cargo/config.toml");
    }
}
