"""Superset's settings: its own state in Postgres, nothing sent home; keys come from the environment."""

import os

from sqlalchemy.engine import URL

SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = URL.create(
    "postgresql+psycopg2", username="superset", password=os.environ["SUPERSET_DB_PASSWORD"], host="postgres", database="superset"
).render_as_string(hide_password=False)
SCARF_ANALYTICS = False
TALISMAN_ENABLED = True
WTF_CSRF_ENABLED = True
ROW_LIMIT = 50_000
