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

# axe-core looks at the dashboard for what shuts people out: one version, by the hash of its archive, from the registry that npm is set up with.
axe_version=4.14.1
axe_sha512=1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5
axe_folder=${CARGO_TARGET_DIR:-target}/axe-core-$axe_version
axe_archive=$axe_folder/axe-core-$axe_version.tgz
if [ -z "${STARLING_AXE:-}" ]; then
    mkdir -p "$axe_folder"
    if [ ! -e "$axe_archive" ] && command -v npm >/dev/null; then
        # Beside, and moved when it is whole. Without a network npm would go on trying for minutes.
        (cd "$axe_folder" && mkdir -p new && timeout 60 npm pack --silent --pack-destination new "axe-core@$axe_version" >/dev/null \
            && mv "new/${axe_archive##*/}" .) || true
    fi
    if [ -e "$axe_archive" ]; then
        if ! echo "$axe_sha512  $axe_archive" | sha512sum --check --status; then
            echo "$axe_archive is not axe-core $axe_version: its SHA-512 is another one than test.sh names. Remove it, and find out who sent it." >&2
            exit 1
        fi
        tar -xzf "$axe_archive" -C "$axe_folder" package/axe.min.js
        STARLING_AXE=$(cd "$axe_folder" && pwd)/package/axe.min.js
        export STARLING_AXE
    else
        echo "SKIPPED: axe-core $axe_version: npm is not installed, or did not get it. The dashboard is not checked for accessibility." >&2
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
