use super::*;

#[test]
fn every_preset_has_its_kernels_and_its_name() {
    let mut names = Vec::new();
    for (preset, name, _) in Preset::ALL {
        assert_eq!(preset.name(), *name);
        assert_eq!(serde_json::to_value(preset).ok(), Some((*name).into()));
        assert!(!Product::ALL.iter().any(|product| preset.kernel(*product, true).needs_f16()), "{name}");
        for product in Product::ALL {
            for wide in [false, true] {
                let kernel = preset.kernel(product, wide).name();
                assert!(kernel.starts_with(product.name()), "{kernel}");
                assert_eq!(kernel.contains("wide"), wide, "{kernel}");
                assert!(crate::kernels::ALL.iter().any(|known| known.name() == kernel), "{kernel}");
                names.push((kernel, *preset));
            }
        }
    }
    names.sort_unstable();
    names.dedup_by_key(|(kernel, _)| *kernel);
    assert_eq!(names.len(), 4 * 12, "four kernels for each product, narrow and wide");
}

#[test]
fn half_precision_is_asked_for_and_never_tuned() {
    for product in Product::ALL {
        for wide in [false, true] {
            let kernel = Preset::Half64.kernel(product, wide);
            assert_eq!((kernel.needs_f16(), kernel.name().contains("wide")), (true, wide), "{}", kernel.name());
            assert!(kernel.name().starts_with(product.name()), "{}", kernel.name());
        }
    }
    assert!(serde_json::from_str::<Preset>("\"half_64\"").is_err(), "no file of choices names it");
    let [has, has_not] = [true, false].map(|f16| DeviceInfo { f16, ..DeviceInfo::default() });
    assert_eq!([&has, &has_not].map(|info| Precision::F16.fits(info)), [true, false]);
    assert!(Precision::F32.fits(&has_not));
    for (precision, name, _) in Precision::ALL {
        assert_eq!(serde_json::to_value(precision).ok(), Some((*name).into()));
        assert_eq!(precision.name(), *name);
    }
}

#[test]
fn a_shape_is_read_back_from_its_dispatch() {
    for product in Product::ALL {
        for wide in [false, true] {
            let shape = Shape::new(product, wide, &[5, 8, 12]);
            let buffers = [0, 1, 2].map(crate::engine::Buffer);
            let dispatch = Dispatch::new(Preset::Plain.kernel(product, wide), &buffers, &[5, 8, 12]);
            assert_eq!(Shape::of(&dispatch), Some(shape));
        }
    }
}

#[test]
fn what_was_measured_goes_before_the_rule_and_for_its_class_alone() {
    let gpu = DeviceInfo { backend: "vulkan".into(), ..DeviceInfo::default() };
    let software = DeviceInfo { software: true, ..gpu.clone() };
    let of = |m| Shape::new(Product::Forward, true, &[m, 4096, 1024]);
    let [shape, near, far] = [8192, 8000, 9000].map(of);
    assert_eq!(Choices::untuned(&software).preset(&shape), Preset::Plain);
    assert_eq!(Choices::untuned(&gpu).preset(&shape), Preset::Tile128);
    for info in [gpu, software] {
        let untuned = Choices::untuned(&info);
        let tuned = untuned.clone().with([(shape.class(), Preset::Tile64)].into());
        assert_eq!([shape, near].map(|shape| tuned.preset(&shape)), [Preset::Tile64; 2]);
        assert_eq!(tuned.preset(&far), untuned.preset(&far));
    }
}

#[test]
fn half_precision_on_a_software_driver_shares_no_memory_elsewhere() {
    let gpu = DeviceInfo { backend: "vulkan".into(), f16: true, ..DeviceInfo::default() };
    let software = DeviceInfo { software: true, ..gpu.clone() };
    let shape = Shape::new(Product::Forward, true, &[64, 64, 64]);
    for (info, shares) in [(gpu, true), (software, false)] {
        let choices = Choices::half(&info);
        assert_eq!((choices.preset(&shape), choices.shares_memory()), (Preset::Half64, shares), "{info:?}");
        assert_eq!(Choices::untuned(&info).shares_memory(), shares);
    }
}

/// Whether its dispatch, as a layer records it, is within what WebGPU grants.
fn is_dispatched(choices: &Choices, shape: &Shape) -> bool {
    let preset = choices.preset(shape);
    let mut words = shape.words;
    if shape.product == Product::BackwardWeight {
        words[5] = preset.parts(shape);
    }
    let groups = preset.kernel(shape.product, shape.wide).grid(&words).groups();
    groups.into_iter().all(|groups| groups <= GROUPS_AXIS_MAX)
}

#[test]
fn what_would_be_too_many_workgroups_along_an_axis_takes_another_preset() {
    let gpu = Choices::untuned(&DeviceInfo { backend: "vulkan".into(), ..DeviceInfo::default() });
    let all = Preset::ALL.iter().chain([&Preset::HALF]).map(|(preset, ..)| Choices::always(*preset));
    let all: Vec<_> = all.chain([gpu.clone()]).collect();
    // Pictures of 28 x 28 x 16, patches of 3 x 3: 65,540 tiles of 32 patches, then too many of 64, then of 128.
    let convolution = |product, samples: u32| {
        let slices = if product == Product::ConvBackwardWeight { 256 } else { 0 };
        Shape::new(product, true, &[samples, 28, 28, 16, 28, 28, 32, 0, 3, 1, 1, 0, slices])
    };
    for product in [Product::ConvForward, Product::ConvBackwardInput, Product::ConvBackwardWeight] {
        for samples in [2600, 2675, 5400, 10_800, 40_000] {
            let shape = convolution(product, samples);
            assert!(all.iter().all(|choices| is_dispatched(choices, &shape)), "{shape:?}");
        }
    }
    let presets = [2600, 2675, 5400, 10_800].map(|samples| gpu.preset(&convolution(Product::ConvForward, samples)));
    assert_eq!(presets, [Preset::Tile32, Preset::Tile64, Preset::Tile128, Preset::Plain]);
    for product in [Product::Forward, Product::BackwardInput, Product::BackwardWeight] {
        for extents in [[2 << 20, 16, 8], [8, 2 << 20, 16], [16, 8, 2 << 20]] {
            let shape = Shape::new(product, true, &extents);
            assert!(all.iter().all(|choices| is_dispatched(choices, &shape)), "{shape:?}");
        }
    }
}

#[test]
fn a_convolution_is_a_product_of_patches() {
    // 2 pictures of 9 x 8 x 3, 7 x 6 patches of 3 x 3, 5 outputs.
    let words = [2, 9, 8, 3, 7, 6, 5, 0, 3, 1, 0];
    let extents = |product| Shape::new(product, false, &words).extents();
    assert_eq!(extents(Product::ConvForward), [84, 5, 27]);
    assert_eq!(extents(Product::ConvBackwardInput), [144, 3, 45]);
    assert_eq!(extents(Product::ConvBackwardWeight), [5, 27, 84]);
    assert_eq!(Preset::Split32.parts(&Shape::new(Product::ConvBackwardWeight, false, &words)), 1);
}

#[test]
fn small_results_take_small_tiles_and_long_sums_are_split() {
    let preset = |product, extents: [u32; 3]| tiled(&Shape::new(product, true, &extents));
    assert_eq!(preset(Product::Forward, [64, 128, 784]), Preset::Tile32);
    assert_eq!(preset(Product::Forward, [1024, 512, 784]), Preset::Tile64);
    assert_eq!(preset(Product::BackwardWeight, [8192, 128, 128]), Preset::Split32);
    assert_eq!(preset(Product::BackwardWeight, [64, 128, 784]), Preset::Tile32, "a short sum");
    assert_eq!(preset(Product::Forward, [1 << 20, 10, 784]), Preset::Tile32, "narrow");
    let convolution = |o| tiled(&Shape::new(Product::ConvForward, true, &[64, 32, 32, 16, 32, 32, o, 0, 3, 1, 1]));
    assert_eq!([32, 64, 128].map(convolution), [Preset::Tile32, Preset::Tile64, Preset::Tile128]);
    let shape = Shape::new(Product::BackwardWeight, true, &[8192, 128, 128]);
    assert_eq!(Preset::Split32.parts(&shape), 16, "sixteen tiles in sixteen parts");
    assert_eq!(Preset::Split64.parts(&shape), PARTS_MAX.min(8192 / PART_DEPTH));
    assert_eq!(Preset::Tile32.parts(&shape), 1);
    let huge = Shape::new(Product::BackwardWeight, true, &[u32::MAX; 3]);
    assert_eq!(Preset::Split64.parts(&huge), 1);
    assert_eq!(huge.class().rows, u32::MAX);
}
