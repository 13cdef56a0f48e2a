"""The commands: one file each, whose public function is the run, in the order in which things happen."""
