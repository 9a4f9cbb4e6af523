"""What a site can set, a section a module; `config.Settings` puts them together and reads the environment.

A setting is said once, here: its name, its type, its default and what it means. Who needs a part of them
takes that section.
"""
