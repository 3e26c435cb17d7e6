"""How far each planned service is on its way to both portals, and every step it took."""
