"""The main job, told as a story."""

from lastgood.interfaces.demo.story import main as main
