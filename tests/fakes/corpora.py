"""Tiny corpora of noise in their true layout, one builder a data set; tests load this file by its path.

``BUILDERS`` maps a data set's class name to its builder; a data set that makes its own sounds needs none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def noise(path: Path, *, seconds: float = 1.0, rate_hz: int = 8000, seed: int = 0) -> None:
    """Write quiet white noise, folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))
    soundfile.write(path, samples.clip(-1, 1), rate_hz)


def table(path: Path, text: str) -> None:
    """Write a table, folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def esc50(root: Path) -> None:
    """ESC-50: two classes (one of ESC-10) in each of five folds, two takes a recording."""
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in range(1, 6):
        for target, label, esc10 in ((0, "dog", True), (6, "hen", False)):
            source = 1000 * fold + target
            for take in "AB":
                name = f"{fold}-{source}-{take}-{target}.wav"
                noise(root / "audio" / name, seconds=1.0, rate_hz=44100, seed=source + ord(take))
                rows.append(f"{name},{fold},{target},{label},{esc10},{source},{take}")
    table(root / "meta" / "esc50.csv", "\n".join(rows) + "\n")


def csv_labels(root: Path) -> None:
    """A user's table: two classes, six recordings of two clips, no folds."""
    rows = ["path,label,group"]
    for index in range(12):
        noise(root / "audio" / f"{index}.wav", seconds=0.1, seed=index)
        rows.append(f"{index}.wav,{'ab'[index // 2 % 2]},r{index // 2}")
    table(root / "meta.csv", "\n".join(rows) + "\n")


def several_tables(root: Path) -> None:
    """Two tables: one with folds, one with splits; four recordings of two clips each, named alike in both."""
    for folder, column, places in (("field", "fold", "1122"), ("home", "split", ("train", "train", "train", "test"))):
        rows = [f"path,label,group,{column}"]
        for index in range(8):
            noise(root / folder / f"{index}.wav", seconds=0.1, seed=index + len(folder))
            rows.append(f"{index}.wav,{'ab'[index % 2]},r{index // 2},{places[index // 2]}")
        table(root / folder / "meta.csv", "\n".join(rows) + "\n")


def folder_labels(root: Path) -> None:
    """A user's folders: two classes of three sounds."""
    for label in ("cat", "dog"):
        for index in range(3):
            noise(root / label / f"{index}.wav", seconds=0.1, seed=index)


def urbansound8k(root: Path) -> None:
    """UrbanSound8K: two classes in each of ten folds, two slices a recording, one of them short."""
    rows = ["slice_file_name,fsID,start,end,salience,fold,classID,class"]
    for fold in range(1, 11):
        for target, label in ((3, "dog_bark"), (8, "siren")):
            source = 1000 * fold + target
            for index, seconds in enumerate((1.5, 0.4)):
                name = f"{source}-{target}-0-{index}.wav"
                noise(root / "audio" / f"fold{fold}" / name, seconds=seconds, seed=source + index)
                rows.append(f"{name},{source},2.0,{2 + seconds},1,{fold},{target},{label}")
    table(root / "metadata" / "UrbanSound8K.csv", "\n".join(rows) + "\n")


def sonyc_ust(root: Path) -> None:
    """SONYC-UST: two training sensors, one to validate, one of the first again to test; volunteers and the team."""
    coarse = (
        "1_engine", "2_machinery-impact", "3_non-machinery-impact", "4_powered-saw", "5_alert-signal", "6_music",
        "7_human-voice", "8_dog",
    )  # fmt: skip
    head = ["split", "sensor_id", "audio_filename", "annotator_id", "1-1_small-sounding-engine_presence"]
    rows = [",".join([*head, *(f"{name}_presence" for name in coarse)])]
    engine, music, both, none = "10000000", "00000100", "10000100", "00000000"
    recordings = [
        ("train", 1, [(7, engine), (9, engine), (4, none)]), ("train", 1, [(7, music), (9, none)]),
        ("train", 2, [(7, none), (9, none), (0, engine)]), ("train", 2, [(7, both)]),
        ("validate", 3, [(8, engine)]), ("validate", 3, [(8, none), (0, music)]),
        ("test", 1, [(-1, "-----1--"), (0, music)]), ("test", 4, [(0, none)]),
    ]  # fmt: skip
    for index, (split, sensor, judged) in enumerate(recordings):
        name = f"{sensor:02}_{index:06}.wav"
        noise(root / f"audio-{index % 2}" / name, seconds=1.0, seed=index)
        for annotator, marks in judged:
            seen = ["-1" if mark == "-" else mark for mark in marks]
            rows.append(",".join([split, str(sensor), name, str(annotator), seen[0], *seen]))
    table(root / "annotations.csv", "\n".join(rows) + "\n")


def tau2019_mobile(root: Path) -> None:
    """TAU 2019 Mobile: two scenes; a, b and c train, a and b are tested, one segment of a is in neither part."""
    folder = root / "TAU-urban-acoustic-scenes-2019-mobile-development"
    meta = ["filename\tscene_label\tidentifier\tsource_label"]
    parts = {"train": ["filename\tscene_label"], "evaluate": ["filename\tscene_label"], "none": []}
    places = (("train", "lyon", 0, "abc"), ("evaluate", "milan", 1, "ab"), ("none", "prague", 2, "a"))
    for seed, scene in enumerate(("bus", "park")):
        for part, city, place, devices in places:
            place += 10 * seed
            for device in devices:
                name = f"audio/{scene}-{city}-{place}-{100 + place}-{device}.wav"
                noise(folder / name, seconds=1.0, rate_hz=44100, seed=200 * seed + place + ord(device))
                meta.append(f"{name}\t{scene}\t{city}-{place}\t{device}")
                parts[part].append(f"{name}\t{scene}")
    table(folder / "meta.csv", "\n".join(meta) + "\n")
    for part in ("train", "evaluate"):
        table(folder / "evaluation_setup" / f"fold1_{part}.csv", "\n".join(parts[part]) + "\n")


def tau2020_mobile(root: Path) -> None:
    """TAU 2020 Mobile: two scenes at eight places, two segments a place, devices a and b."""
    meta, train, evaluate = ["filename\tscene_label\tidentifier\tsource_label"], ["filename\tscene_label"], []
    for place in range(8):
        scene, city = ("park", "tram")[place % 2], ("paris", "london")[place // 4]
        for segment in range(2):
            for device in "ab":
                name = f"audio/{scene}-{city}-{place}-{segment}-{device}.wav"
                noise(root / name, seconds=1.0, seed=4 * place + 2 * segment + ord(device))
                meta.append(f"{name}\t{scene}\t{city}-{place}\t{device}")
                (evaluate if place >= 6 else train).append(f"{name}\t{scene}")
    table(root / "meta.csv", "\n".join(meta) + "\n")
    table(root / "evaluation_setup" / "fold1_train.csv", "\n".join(train) + "\n")
    table(root / "evaluation_setup" / "fold1_evaluate.csv", "\n".join([train[0], *evaluate]) + "\n")


def speech_commands_v2(root: Path) -> None:
    """Speech Commands 2: all 35 words, two speakers for training, one for validation and one for testing."""
    words = (
        "backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward", "four", "go",
        "happy", "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one", "right", "seven",
        "sheila", "six", "stop", "three", "tree", "two", "up", "visual", "wow", "yes", "zero",
    )  # fmt: skip
    speakers = {"0a7c2a8d": None, "00f0204f": None, "b4ea0d9a": "validation", "bbd0bbd0": "testing"}
    lists: dict[str, list[str]] = {"validation": [], "testing": []}
    for seed, (word, (speaker, split)) in enumerate((word, item) for word in words for item in speakers.items()):
        name = f"{word}/{speaker}_nohash_0.wav"
        noise(root / name, seconds=0.05, rate_hz=16000, seed=seed)
        if split:
            lists[split].append(name)
    for split, names in lists.items():
        table(root / f"{split}_list.txt", "\n".join(names) + "\n")
    noise(root / "_background_noise_" / "running_tap.wav", seconds=0.1, rate_hz=16000)
    table(root / "README.md", "Speech Commands Data Set v0.02\n")


def tau2022_mobile(root: Path) -> None:
    """TAU 2022 Mobile: two scenes, two cities; b trains, s4 is tested only, one clip of a is in neither part."""
    folder = root / "TAU-urban-acoustic-scenes-2022-mobile-development"
    meta = ["filename\tscene_label\tidentifier\tsource_label"]
    parts = {"train": ["filename\tscene_label"], "evaluate": ["filename\tscene_label"], "none": []}
    places = (("train", "lisbon", 0, "a b s1"), ("evaluate", "vienna", 1, "a s4"), ("none", "paris", 2, "a"))
    for seed, scene in enumerate(("airport", "tram")):
        for part, city, place, devices in places:
            place += 10 * seed
            for device in devices.split():
                name = f"audio/{scene}-{city}-{place}-{place}-0-{device}.wav"
                noise(folder / name, seconds=1.0, rate_hz=44100, seed=100 * seed + place)
                meta.append(f"{name}\t{scene}\t{city}-{place}\t{device}")
                parts[part].append(f"{name}\t{scene}")
    table(folder / "meta.csv", "\n".join(meta) + "\n")
    for part in ("train", "evaluate"):
        table(folder / "evaluation_setup" / f"fold1_{part}.csv", "\n".join(parts[part]) + "\n")
    tested = ["filename", *(row.split("\t")[0] for row in parts["evaluate"][1:])]
    table(folder / "evaluation_setup" / "fold1_test.csv", "\n".join(tested) + "\n")


BUILDERS = {
    "ESC50": esc50,
    "CsvLabels": csv_labels,
    "SeveralTables": several_tables,
    "FolderLabels": folder_labels,
    "UrbanSound8K": urbansound8k,
    "SONYCUST": sonyc_ust,
    "TAU2019Mobile": tau2019_mobile,
    "TAU2020Mobile": tau2020_mobile,
    "TAU2022Mobile": tau2022_mobile,
    "SpeechCommandsV2": speech_commands_v2,
}
