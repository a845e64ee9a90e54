"""The cached query module: everything that talks to PostgreSQL. It knows nothing of Streamlit."""
