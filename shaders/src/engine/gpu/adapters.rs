//! The adapters that there are, and what they say of themselves.

use crate::engine::DeviceInfo;
use crate::engine::device::number;

/// Mesa's llvmpipe ends all loops of an invocation when they have gone round so often together, and says nothing
/// (`LP_MAX_TGSI_LOOP_ITERATIONS`, `lp_exec_endloop` in `src/gallium/auxiliary/gallivm/lp_bld_ir_common.c`; measured with 22.3).
const LLVMPIPE_TURNS_MAX: u64 = 65_535;

fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    descriptor.flags = wgpu::InstanceFlags::empty().with_env();
    wgpu::Instance::new(descriptor)
}

/// Real GPUs before software, discrete before integrated.
fn rank(info: &wgpu::AdapterInfo) -> u8 {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

/// Every adapter with what it says of itself, best first.
pub(super) fn ranked() -> Vec<(wgpu::Adapter, DeviceInfo)> {
    let mut adapters = pollster::block_on(instance().enumerate_adapters(wgpu::Backends::all()));
    adapters.sort_by_key(|adapter| rank(&adapter.get_info()));
    let mut all: Vec<_> = adapters.iter().map(describe).collect();
    number(&mut all);
    adapters.into_iter().zip(all).collect()
}

fn describe(adapter: &wgpu::Adapter) -> DeviceInfo {
    let info = &adapter.get_info();
    let backend = match info.backend {
        wgpu::Backend::Vulkan => "vulkan",
        wgpu::Backend::Metal => "metal",
        wgpu::Backend::Dx12 => "dx12",
        _ => "other",
    };
    let driver = format!("{} {}", info.driver, info.driver_info).trim().to_owned();
    DeviceInfo {
        name: info.name.clone(),
        backend: backend.into(),
        driver,
        slot: info.device_pci_bus_id.clone(),
        software: software(info),
        loop_turns_max: info.name.contains("llvmpipe").then_some(LLVMPIPE_TURNS_MAX),
        f16: adapter.features().contains(wgpu::Features::SHADER_F16),
        ..DeviceInfo::default()
    }
}

/// Whether a driver computes on the CPU.
pub(super) fn software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == wgpu::DeviceType::Cpu
}

/// Whether what a device takes is the host's own memory.
fn shares_host_memory(kind: wgpu::DeviceType) -> bool {
    matches!(kind, wgpu::DeviceType::IntegratedGpu | wgpu::DeviceType::Cpu)
}

/// What an adapter says of itself, with what it grants. How much memory a real GPU has free, wgpu does not say; a software driver and
/// an integrated GPU have the host's.
pub(super) fn measure(adapter: &wgpu::Adapter, described: &DeviceInfo) -> DeviceInfo {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let largest = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    let free_host_memory = crate::engine::memory::free();
    let free_memory = if shares_host_memory(info.device_type) { free_host_memory } else { None };
    DeviceInfo { largest_buffer: Some(largest), free_memory, free_host_memory, ..described.clone() }
}

/// The adapters that there are, best first.
#[must_use]
pub fn adapters() -> Vec<DeviceInfo> {
    ranked().into_iter().map(|(_, info)| info).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_memory_of_its_own_takes_the_hosts() {
        use wgpu::DeviceType::{Cpu, DiscreteGpu, IntegratedGpu, Other, VirtualGpu};
        let shared = [DiscreteGpu, IntegratedGpu, VirtualGpu, Other, Cpu].map(shares_host_memory);
        assert_eq!(shared, [false, true, false, false, true]);
    }
}
