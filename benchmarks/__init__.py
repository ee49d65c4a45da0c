"""What the README claims about speed, as commands to run again."""
