"""One module per group of commands; `main.COMMANDS` names them, and imports them when they are called."""
