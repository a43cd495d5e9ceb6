#!/usr/bin/env bash
# Installs what the tests need and runs all of them. Needs Rust; as root it also installs Debian's packages.
set -euo pipefail
cd "$(dirname "$0")"

# Software Vulkan, so that the kernels run on a machine without a GPU; `ip` and `nft` for the tests in network namespaces.
missing=()
ls /usr/share/vulkan/icd.d/*.json >/dev/null 2>&1 && ldconfig -p | grep -q libvulkan.so.1 || missing+=(mesa-vulkan-drivers libvulkan1)
command -v ip >/dev/null || missing+=(iproute2)
command -v nft >/dev/null || missing+=(nftables)
# A browser for the dashboard.
command -v chromium >/dev/null || missing+=(chromium)
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
    else
        echo "not installed: ${missing[*]}. The tests that need them will say that they are skipped." >&2
    fi
fi

cargo fmt --all --check
# With the features that the tests ask for, so that nothing is compiled twice.
cargo build --locked --workspace --bin starling --test it
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --workspace --no-fail-fast "$@"
else
    cargo test --locked --workspace --no-fail-fast "$@"
fi
