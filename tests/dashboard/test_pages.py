"""The pages as a person meets them: what they say, to whom, and what they do with a bad address."""

import dataclasses

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import services, viewer
from queries.catalog import tenants
from queries.runner import Context
from queries.scope import Scope
from tests.dashboard.conftest import ROOT, OpenApp, texts
