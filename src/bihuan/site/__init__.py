"""The house around the modules: settings, server, roles, command line, worker, base pages."""
