"""The ecosystem file: what it must say, and whose card numbers are whose."""

from pathlib import Path

import pytest
import yaml

from postrail.domain.errors import ConfigInvalid
from switch.ecosystem import RangeTable, load_ecosystem

SHIPPED = Path(__file__).parents[3] / "config" / "ecosystem.yaml"


def _write(tmp_path: Path, change: dict[str, object]) -> Path:
    content = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    content["banks"][1].update(change)
    path = tmp_path / "ecosystem.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_the_shipped_file_finds_the_bank_of_a_card_number() -> None:
    table = RangeTable(load_ecosystem(SHIPPED).banks)
    owner = table.find("4761340000000019")
    assert owner is not None
    assert owner[0].id == "northgate"


@pytest.mark.parametrize("pan", ["4761350000000000", "4761330000000000", "0000000000000000", "9999999999999999"])
def test_a_number_outside_all_ranges_is_nobodys(pan: str) -> None:
    assert RangeTable(load_ecosystem(SHIPPED).banks).find(pan) is None


def test_a_bank_reaches_the_networks_that_it_names() -> None:
    ecosystem = load_ecosystem(SHIPPED)
    assert [bank.id for bank in ecosystem.members("meridian")] == ["northgate", "harbour"]


def test_ranges_that_overlap_are_refused_with_both_ranges(tmp_path: Path) -> None:
    path = _write(tmp_path, {"ranges": [{"low": "47613400", "high": "47613499"}]})
    with pytest.raises(ConfigInvalid, match="ranges overlap: 476134-476134 and 47613400-47613499"):
        load_ecosystem(path)


def test_a_range_whose_ends_are_exchanged_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, {"ranges": [{"low": "541399", "high": "541333"}]})
    with pytest.raises(ConfigInvalid, match="low comes first"):
        load_ecosystem(path)


def test_an_unknown_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="bank harbour names unknown networks: nowhere"):
        load_ecosystem(_write(tmp_path, {"networks": ["nowhere"]}))


def test_two_banks_of_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="two banks have one id"):
        load_ecosystem(_write(tmp_path, {"id": "northgate"}))


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"nowhere\.yaml cannot be read"):
        load_ecosystem(tmp_path / "nowhere.yaml")


def test_an_unknown_id_is_answered_with_the_ids_there_are() -> None:
    with pytest.raises(ConfigInvalid, match="has no bank westgate; it has northgate, harbour"):
        load_ecosystem(SHIPPED).bank("westgate")


def test_peers_can_be_reached_elsewhere_than_the_file_says() -> None:
    moved = load_ecosystem(SHIPPED).reached_at({"northgate": "bank.internal", "meridian": "10.0.0.7:9000"})
    assert (moved.bank("northgate").listen.host, moved.bank("northgate").listen.port) == ("bank.internal", 8591)
    assert (moved.network("meridian").listen.host, moved.network("meridian").listen.port) == ("10.0.0.7", 9000)
    assert moved.bank("harbour") == load_ecosystem(SHIPPED).bank("harbour")


@pytest.mark.parametrize("place", ["host:port", "host:70000", "host:"])
def test_a_place_with_a_port_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(ConfigInvalid, match="no port"):
        load_ecosystem(SHIPPED).reached_at({"northgate": place})


def test_a_place_for_somebody_unknown_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="westgate, which the ecosystem does not know"):
        load_ecosystem(SHIPPED).reached_at({"westgate": "localhost"})
