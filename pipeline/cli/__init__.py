"""The command `pipeline`: one file a group of commands. Only this room prints or exits."""
