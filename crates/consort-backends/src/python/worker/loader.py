"""Importing the modules of a script, and finding handlers in them."""

import os
import sys

# Loaded modules that are not part of a script.
HIDDEN_MODULES = ("__main__", "_consort", "midimonster")


class HandlerError(Exception):
    """Why there is no handler of a name."""


class ModuleMissing(HandlerError, LookupError):
    """The script has no such module."""


class FunctionMissing(HandlerError, AttributeError):
    """The module does not define the function."""


class NotCallable(HandlerError, TypeError):
    """The name is defined, but not as a function."""


class Loader:
    """The modules of a script by the names under which handlers are looked up in them."""

    def __init__(self, directory):
        self.directory = directory
        self.loaded = {}
        # The sources that were given by their paths.
        self.sources = set()

    def load(self, name, path):
        """Imports a module by name, or from the path of its source."""
        try:
            if path:
                self.sources.add(path)
                load_source(name, path)
            else:
                __import__(name)
                name = name.partition(".")[0]
        except BaseException as error:
            self.add_sources(error)
            raise
        self.loaded[name] = sys.modules.get(name)

    def add_sources(self, error):
        """Counts the sources in which an import has failed as files of the script: they are not
        among the loaded modules, but they are what will be edited."""
        files = [getattr(error, "filename", None)]
        trace = error.__traceback__
        while trace is not None:
            files.append(trace.tb_frame.f_code.co_filename)
            trace = trace.tb_next
        for file in files:
            if isinstance(file, str):
                file = os.path.join(self.directory, file)
                if self.is_own(file) and os.path.isfile(file):
                    self.sources.add(file)

    def is_own(self, file):
        """Whether a file lies in the script's folder, and not in a virtual environment."""
        environment = os.path.join(sys.prefix, "") if sys.prefix != sys.base_prefix else None
        is_installed = environment is not None and file.startswith(environment)
        return file.startswith(os.path.join(self.directory, "")) and not is_installed

    def find_handler(self, name):
        """The function with a dotted name.

        Raises a HandlerError if there is none, and whatever a look-up raises that runs code of
        the script.
        """
        path, target = self.find_module(name)
        file = getattr(target, "__file__", None) or "the module"
        rest = name[len(path) + 1 :]
        for part in rest.split("."):
            path += "." + part
            try:
                target = getattr(target, part)
            except AttributeError:
                if path not in sys.modules:
                    raise FunctionMissing(f"{file} does not define `{rest}`") from None
                target = sys.modules[path]
        if not callable(target):
            kind = type(target).__name__
            raise NotCallable(f"expected a function, found an object of type `{kind}`")
        return target

    def find_module(self, name):
        """The name of the module to which a handler belongs, and the module: one of the script,
        otherwise one that these have imported."""
        for modules in (self.loaded, sys.modules):
            path = name.rpartition(".")[0]
            while path and (path not in modules or path in HIDDEN_MODULES):
                path = path.rpartition(".")[0]
            if path:
                return path, modules[path]
        raise ModuleMissing(f"this instance has no module `{name.partition('.')[0]}`")

    def files(self):
        """The sources of the script: loaded modules that lie under its folder, and those that
        were given by their paths. Packages of a virtual environment are not part of it."""
        files = set(self.sources)
        for module in list(sys.modules.values()):
            try:
                file = vars(module).get("__file__")
            except TypeError:
                # Scripts can put any object there.
                continue
            if not isinstance(file, str):
                continue
            file = os.path.join(self.directory, file)
            if self.is_own(file):
                files.add(file)
        return sorted(files)


def load_source(name, path):
    """Imports a module from the path of its source."""
    import importlib._bootstrap as bootstrap
    import importlib._bootstrap_external as external

    known = sys.modules.get(name)
    if known is not None:
        origin = getattr(known, "__file__", None)
        if origin and os.path.realpath(origin) == os.path.realpath(path):
            return
        raise ImportError(
            f"another module `{name}` is already loaded ({origin or 'built in'}); rename {path}"
        )
    folder, file = os.path.split(path)
    locations = [folder] if file == "__init__.py" else None
    if not locations and folder not in sys.path:
        # The folder is appended, so that other files in it are found but hide nothing.
        sys.path.append(folder)
    spec = external.spec_from_file_location(name, path, submodule_search_locations=locations)
    if spec is None:
        raise ImportError(f"{path} is not a Python source file")
    module = bootstrap.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
