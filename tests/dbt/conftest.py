"""What the dbt tests share: the AWS and the Azure estate, the Google Cloud bills and the smaller LLM providers, each built once per session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dbt import azure_estate
from tests.dbt.aws_project import Estate, build_estate
from tests.dbt.azure_project import Azure
from tests.dbt.gcp_project import build_gcp, estate
from tests.dbt.providers_project import Providers, build_providers


@pytest.fixture(scope="session")
def aws_estate(tmp_path_factory: pytest.TempPathFactory) -> Estate:
    """The AWS estate as FOCUS; a test that changes it works on a copy."""
    return build_estate(tmp_path_factory.mktemp("aws_estate"))


@pytest.fixture(scope="session")
def gcp_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Google Cloud bills as FOCUS, with every rule of the project passed on them."""
    folder = tmp_path_factory.mktemp("gcp")
    return build_gcp(folder, estate(folder))


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Azure:
    """The Azure estate as FOCUS; nobody changes it."""
    return azure_estate.build_estate(tmp_path_factory.mktemp("azure"))


@pytest.fixture(scope="session")
def providers(tmp_path_factory: pytest.TempPathFactory) -> Providers:
    """The smaller LLM providers as FOCUS and unit economics; nobody changes it."""
    return build_providers(tmp_path_factory.mktemp("providers"))
