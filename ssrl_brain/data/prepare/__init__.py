"""From folders of audio to the tables that training reads."""
