//! The standard libraries as scripts find them in a worker: those of Lua 5.3 with the functions
//! of 5.2 that distributions leave in, modules in Lua only, and `os.exit` for the instance alone.

use std::path::Path;

use mlua::{Lua, Table};

use super::functions::Handle;

/// Changes the libraries; `exit` ends the worker with the arguments of `os.exit`.
pub(super) fn install(lua: &Lua, shared: &Handle, exit: mlua::Function) -> mlua::Result<()> {
    let state = std::rc::Rc::clone(shared);
    let record = lua.create_function(move |_, file: mlua::LuaString| {
        state.borrow_mut().files.push(file.as_bytes().to_vec());
        Ok(())
    })?;
    lua.load(include_str!("libraries.lua")).set_name("=libraries").call((record, exit))
}

/// Adds folders to the path of `require`, behind the folder of the configuration.
pub(super) fn extend_path<'a>(
    lua: &Lua,
    folders: impl Iterator<Item = &'a Path>,
) -> mlua::Result<()> {
    let package: Table = lua.globals().get("package")?;
    let mut path = b"./?.lua;./?/init.lua".to_vec();
    let mut known: Vec<&Path> = Vec::new();
    for folder in folders {
        if !known.contains(&folder) {
            known.push(folder);
            let folder = folder.display();
            path.extend_from_slice(format!(";{folder}/?.lua;{folder}/?/init.lua").as_bytes());
        }
    }
    let rest: mlua::LuaString = package.get("path")?;
    path.push(b';');
    path.extend_from_slice(&rest.as_bytes());
    package.set("path", lua.create_string(path)?)
}
