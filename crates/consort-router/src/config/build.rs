//! From sections and mappings to a show: instances are made, channels created.

use std::collections::HashMap;

use super::collect::{Hidden, Mapping, Named};
use super::diagnostic::Sink;
use super::layer::LayerSection;
use super::mapping::{ConfiguredInstance, Ends, Mapper};
use super::section::{Kind, Section};
use super::source::Sources;
use super::{Show, ShowBackend, ShowInstance, outside};
use crate::backend::{Backend, InstanceConfig, Plan};
use crate::options::{Options, Problems};

/// A backend that the show uses, or that a section `[backend NAME]` configures.
struct ConfiguredBackend {
    name: &'static str,
    backend: Box<dyn Backend>,
    options: Options,
    is_usable: bool,
    is_used: bool,
}

/// The contents of the files.
pub(super) struct Parts<'p> {
    pub(super) sections: &'p [Section<'p>],
    pub(super) instances: &'p [usize],
    pub(super) names: &'p HashMap<String, Named>,
    pub(super) mappings: &'p [Mapping],
    pub(super) layers: &'p [LayerSection],
    pub(super) hidden: &'p [Hidden],
    /// How many mappings there may be.
    pub(super) limit: u64,
}

/// Builds a show from the contents of the files; none when there is an error in them.
pub(super) fn build(parts: &Parts<'_>, sources: &Sources, sink: &mut Sink) -> Option<Show> {
    let &Parts { sections, instances, names, mappings, layers, hidden, limit } = parts;
    let mut backends: Vec<ConfiguredBackend> = Vec::new();
    for section in sections {
        if !backends.iter().any(|made| made.name == section.descriptor.name) {
            backends.push(make_backend(section, sections, sink));
        }
    }
    let mut made: Vec<ConfiguredInstance> = Vec::with_capacity(instances.len());
    for &index in instances {
        let plan = make_plan(&sections[index], &mut backends, sources, sink);
        made.push(ConfiguredInstance {
            section: index,
            plan,
            channels: Vec::new(),
            places: Vec::new(),
        });
    }
    // Instances that repeat a name are not part of the show, but their options are checked.
    for (index, section) in sections.iter().enumerate() {
        if section.kind == Kind::Instance && names[&section.name].section != Some(index) {
            make_plan(section, &mut backends, sources, sink);
        }
    }

    let instance_of_section: HashMap<usize, usize> =
        instances.iter().enumerate().map(|(number, &section)| (section, number)).collect();
    let ends = Ends { names, instance_of_section: &instance_of_section, sections, hidden };
    let mut mapper = Mapper::new(ends, &mut made, layers, sources, sink, limit);
    for mapping in mappings {
        mapper.add(mapping);
    }
    let mapped = mapper.finish();

    for made in &made {
        if let Some(plan) = &made.plan {
            let mut problems = Problems::new();
            plan.check(&mut problems);
            sections[made.section].report_at(problems, &made.places, sink);
        }
    }
    for made in backends.iter_mut().filter(|made| made.is_usable && made.is_used) {
        made.backend.check(&mut |name: &str, problems: Problems| {
            let section = names.get(name).and_then(|named| named.section);
            if let Some(section) = section {
                sections[section].report(problems, sink);
            }
        });
    }
    if sink.has_errors() {
        return None;
    }
    outside::check(&made, &mapped.pairs, sections, sink);
    backends.retain(|entry| entry.is_used);
    let instance = |made: ConfiguredInstance| {
        let section = &sections[made.section];
        let descriptor = section.descriptor;
        Some(ShowInstance {
            name: section.name.clone(),
            backend: descriptor.name,
            driver: backends.iter().position(|entry| entry.name == descriptor.name)?,
            plan: made.plan?,
            options: section.options(),
            families: descriptor.instance_families,
            channels: made.channels,
        })
    };
    let instances = made.into_iter().map(instance).collect::<Option<Vec<_>>>()?;
    let backend = |entry: ConfiguredBackend| ShowBackend {
        name: entry.name,
        backend: entry.backend,
        options: entry.options,
    };
    Some(Show {
        backends: backends.into_iter().map(backend).collect(),
        instances,
        mappings: mapped.pairs,
        transforms: mapped.transforms,
        layers: mapped.layers,
    })
}

fn make_backend(
    used_by: &Section<'_>,
    sections: &[Section<'_>],
    sink: &mut Sink,
) -> ConfiguredBackend {
    let descriptor = used_by.descriptor;
    let configures =
        |made: &&Section<'_>| made.kind == Kind::Backend && made.descriptor.name == descriptor.name;
    let section = sections.iter().find(configures);
    let mut made = ConfiguredBackend {
        name: descriptor.name,
        backend: (descriptor.create)(),
        options: section.map_or_else(
            || Options::new(descriptor.options, Vec::new()),
            |section| section.options(),
        ),
        is_usable: true,
        is_used: false,
    };
    let mut problems = Problems::new();
    match section {
        None => {
            made.backend.configure(&made.options, &mut problems);
            made.is_usable = used_by.report(problems, sink);
        }
        Some(section) if section.is_incomplete => made.is_usable = false,
        Some(section) => {
            made.backend.configure(&made.options, &mut problems);
            made.is_usable = section.report(problems, sink) && !section.is_broken;
        }
    }
    made
}

fn make_plan(
    section: &Section<'_>,
    backends: &mut [ConfiguredBackend],
    sources: &Sources,
    sink: &mut Sink,
) -> Option<Box<dyn Plan>> {
    let made = backends.iter_mut().find(|made| made.name == section.descriptor.name)?;
    if section.is_incomplete || !made.is_usable {
        return None;
    }
    let config = InstanceConfig {
        name: section.name.clone(),
        options: section.options(),
        directory: sources.get(section.header.source).directory().to_owned(),
    };
    made.is_used = true;
    let mut problems = Problems::new();
    let plan = made.backend.instance(config, &mut problems);
    if plan.is_none() && problems.is_ok() {
        // A backend owes a reason; without one the show would end without a word.
        problems.error(None, format!("cannot create the instance `{}`", section.name));
    }
    section.report(problems, sink);
    // Its channels may depend on options that are wrong: those errors come first.
    plan.filter(|_| !section.is_broken)
}
