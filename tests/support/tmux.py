"""A program in a terminal of its own, which tmux keeps: keys go in, the screen comes out."""

import os
import re
import shlex
import subprocess

from tests.support.processes import find_program, wait_until


class Terminal:
    def __init__(self, directory, command, env=None, width=120, height=40):
        self.socket = os.path.join(directory, "tmux")
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height),
                   shlex.join(["env", *(f"{name}={value}" for name, value in (env or {}).items()),
                               *command]))

    def _tmux(self, *arguments, check=True):
        return subprocess.run([find_program("tmux"), "-u", "-S", self.socket, *arguments],
                              check=check, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=30)

    def type(self, *keys):
        """Names of keys as tmux has them, or text."""
        self._tmux("send-keys", *keys)

    def screen(self):
        return self._tmux("capture-pane", "-p", check=False).stdout

    def wait(self, *patterns, timeout=60):
        """Until all of `patterns` are on the screen."""
        def seen():
            screen = self.screen()
            return screen if all(re.search(pattern, screen) for pattern in patterns) else None
        return wait_until(seen, timeout, lambda: f"{patterns} on the screen:\n{self.screen()}")

    def wait_end(self, timeout=60):
        """Until the program has ended, and tmux with it."""
        wait_until(lambda: self._tmux("has-session", check=False).returncode != 0, timeout,
                   lambda: f"the end of the program:\n{self.screen()}")

    def close(self):
        self._tmux("kill-server", check=False)
