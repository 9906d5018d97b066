"""The files for Prometheus and Grafana: they load, and name only metrics that exist."""

import json
import pathlib
import re
import runpy

import pytest
import yaml
from small_detector import draw_images

from tf_taintradar import TaintRadarModel
from tf_taintradar.export.versions import export_savedmodel
from tf_taintradar.monitor import AnswerLog, Monitor
from tf_taintradar.monitor.metrics import COUNTERS, GAUGES, HISTOGRAMS

FOLDER = pathlib.Path(__file__).parents[2] / "examples/serving/monitoring"
DASHBOARD = json.loads((FOLDER / "grafana/taintradar.json").read_text())
OWN = {
    *(f"{name}_total" for name in COUNTERS),
    *GAUGES,
    *(f"{name}_{part}" for name in HISTOGRAMS for part in ("bucket", "sum", "count")),
}
# of tensorflow_serving/servables/tensorflow/util.cc and core/basic_manager
SERVERS = {
    ":tensorflow:serving:request_count",
    ":tensorflow:serving:request_latency_bucket",
    ":tensorflow:serving:runtime_latency_bucket",
}


def load(name):
    return yaml.safe_load((FOLDER / name).read_text())


def names_in(expression):
    return set(re.findall(r"(?:\btaintradar_|:tensorflow:)[\w:]+", expression))


def expressions():
    rules = [rule["expr"] for group in load("alerts.yaml")["groups"] for rule in group["rules"]]
    return rules + [one["expr"] for panel in DASHBOARD["panels"] for one in panel["targets"]]


@pytest.mark.parametrize("expression", expressions())
def test_expressions_name_existing_metrics_only(expression):
    assert names_in(expression) <= OWN | SERVERS
    assert names_in(expression) or expression.startswith("up{")
    assert expression.count("(") == expression.count(")")


def test_every_metric_is_shown_somewhere():
    shown = set().union(*map(names_in, expressions()))
    whole = {re.sub("_(total|bucket)$", "", name) for name in shown & OWN}
    assert whole == {*COUNTERS, *GAUGES, *HISTOGRAMS}


def test_the_dashboard_finds_its_data():
    (source,) = load("grafana/datasource.yaml")["datasources"]
    for panel in DASHBOARD["panels"]:
        used = [panel["datasource"], *(one["datasource"] for one in panel["targets"])]
        assert all(one == {"type": source["type"], "uid": source["uid"]} for one in used)
        assert panel["title"]
        assert panel["description"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)  # no panel lies on another
    assert max(x for x, _ in cells) < 24
    assert source["url"] == "http://prometheus:9090"


def test_prometheus_asks_the_services_of_the_compose_files():
    jobs = {job["job_name"]: job for job in load("prometheus.yaml")["scrape_configs"]}
    targets = {name: job["static_configs"][0]["targets"] for name, job in jobs.items()}
    assert targets == {"serving": ["detector:8501"], "taintradar": ["sidecar:9108"]}
    monitoring = (FOLDER.parent / "monitoring.config").read_text()
    assert f'path: "{jobs["serving"]["metrics_path"]}"' in monitoring
    compose = load("compose.yaml")
    served = yaml.safe_load((FOLDER.parent / "compose.cpu.yaml").read_text())
    assert {"detector"} == served["services"].keys()
    assert {"sidecar", "prometheus", "grafana"} == compose["services"].keys()
    (rules,) = load("prometheus.yaml")["rule_files"]
    mounted = compose["services"]["prometheus"]["volumes"]
    assert f"./{rules}:/etc/prometheus/{rules}:ro" in mounted


def test_what_the_compose_file_mounts_is_there():
    services = load("compose.yaml")["services"]
    for service in services.values():
        for volume in service["volumes"]:
            if volume.startswith("./"):
                assert (FOLDER / volume.split(":")[0]).is_file(), volume
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    build = services["sidecar"]["build"]
    root = FOLDER / build["context"]
    assert (root / build["dockerfile"]).is_file()
    entry = re.search(r'"/project/(.*)"]', (root / build["dockerfile"]).read_text()).group(1)
    assert (root / entry).is_file()
    (provider,) = load("grafana/dashboards.yaml")["providers"]
    mounted = services["grafana"]["volumes"]
    assert any(f":{provider['options']['path']}/" in volume for volume in mounted)


def test_the_sidecar_counts_what_the_log_says(tmp_path, small_classifier, capsys):
    radar = TaintRadarModel(small_classifier)
    radar.calibrate(draw_images(40), target_fpr=0.1, verbose=0)
    export_savedmodel(radar, tmp_path / "demo")
    sidecar = runpy.run_path(str(FOLDER / "sidecar.py"))
    monitor = Monitor(sidecar["read_calibration"](tmp_path / "demo"))
    assert monitor.report().rate == Monitor(radar).report().rate
    log = AnswerLog(tmp_path / "answers.jsonl")
    log.append(radar.predict(draw_images(5), verbose=0))
    with log.path.open("a") as file:
        file.write('{"error": "no such model"}\n')
    log.append(radar.predict(draw_images(3), verbose=0))
    sidecar["observe_new"](monitor, log)
    log.close()
    assert monitor.report().n_images == 8
    assert "`answers` must be" in capsys.readouterr().err
