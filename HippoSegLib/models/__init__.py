"""Networks, model folders with their cards, and the devices they run on."""
