"""The key that an APK is signed with: a debug key made on first use, or the user's."""

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.devices.android.tools import must
from pipeline.errors import UsageError
from pipeline.runner.sources import cache

PASSWORD = "EDGE_PIPELINE_KEY_PASSWORD"  # noqa: S105  the name of a variable
ALIAS = "debug"
# Everybody knows it, as of every debug key: it says that an update is of the same machine.
DEBUG_PASSWORD = "android"  # noqa: S105


@dataclass(frozen=True)
class Key:
    """A key in a store. Tools get the password by their environment, not on a command line."""

    store: Path
    alias: str | None
    password: str

    @property
    def secrets(self) -> dict[str, str]:
        return {PASSWORD: self.password}


def given_key(store: Path, alias: str | None) -> Key:
    """The user's. Raises UsageError without the store or its password."""
    if not store.is_file():
        raise UsageError(f"There is no key store {store}.", "keytool -genkeypair makes one.")
    password = os.environ.get(PASSWORD)
    if password is None:
        raise UsageError(
            f"The password of {store} is not known.", f"Put it into the variable {PASSWORD}."
        )
    return Key(store, alias, password)


def debug_key() -> Key:
    """Of this user on this machine; the first call makes it."""
    store = cache() / "android-debug.keystore"
    key = Key(store, ALIAS, DEBUG_PASSWORD)
    if not store.is_file():
        store.parent.mkdir(parents=True, exist_ok=True)
        draft = store.with_name(f".{store.name}.{os.getpid()}")
        try:
            must(
                [
                    *("keytool", "-genkeypair", "-keystore", draft, "-storetype", "PKCS12"),
                    *("-alias", ALIAS, "-keyalg", "RSA", "-keysize", "2048", "-validity", "10000"),
                    *("-dname", "CN=Debug, O=edge-pipeline"),
                    *("-storepass:env", PASSWORD, "-keypass:env", PASSWORD),
                ],
                "Making a debug key",
                secrets=key.secrets,
            )
            draft.chmod(0o600)
            draft.replace(store)
        finally:
            draft.unlink(missing_ok=True)
    return key
