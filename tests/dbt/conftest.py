"""What the dbt tests share: the AWS estate, built once per session."""

from __future__ import annotations

import pytest

from tests.dbt.aws_project import Estate, build_estate


@pytest.fixture(scope="session")
def aws_estate(tmp_path_factory: pytest.TempPathFactory) -> Estate:
    """The AWS estate as FOCUS; a test that changes it works on a copy."""
    return build_estate(tmp_path_factory.mktemp("aws_estate"))
