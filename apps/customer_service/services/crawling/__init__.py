"""Visiting pages and sites politely: robots.txt, site maps, links, and what has changed since."""
