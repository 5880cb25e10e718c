"""Puts the parts together: from the places of a project to a controller. The only room that knows all others."""

from lastgood.bootstrap.controller import (
    Controller,
    make_controller,
    make_judging,
    make_onlooker,
    open_journal,
    read_state,
)
from lastgood.bootstrap.places import Options, api_socket, run_root, socket_folder, supervisor_epoch, why_private
from lastgood.bootstrap.previous import try_live_release
from lastgood.bootstrap.repository import make_drafting

__all__ = [
    "Controller",
    "Options",
    "api_socket",
    "make_controller",
    "make_drafting",
    "make_judging",
    "make_onlooker",
    "open_journal",
    "read_state",
    "run_root",
    "socket_folder",
    "supervisor_epoch",
    "try_live_release",
    "why_private",
]
