"""The local ground: MiniStack in one process, with what AWS does and MiniStack lacks added."""
