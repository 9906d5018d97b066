"""What every room uses and none owns: checks of arguments, files, resumable work, extras."""
