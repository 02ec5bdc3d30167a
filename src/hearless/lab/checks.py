"""What is refused before anything is trained: low rates, leaks, classes that differ."""

from __future__ import annotations

from collections.abc import Sequence

from hearless import audio
from hearless.interfaces import Clip, HearlessError
from hearless.plural import plural
from hearless.run import Run


def check_rates(clips: Sequence[Clip], lowest_hz: int) -> None:
    """Refuse recordings below the rate that a sensor samples at, all of them listed.

    Raises:
        HearlessError: names the files and their rates.
    """
    paths = dict.fromkeys(clip.path for clip in clips)
    slow = [f"{path}: {rate_hz} Hz" for path in paths if (rate_hz := audio.info(path).rate_hz) < lowest_hz]
    if slow:
        files = plural(len(paths), "file was", "files were")
        raise HearlessError(
            f"rate must be at most that of the recordings, got {lowest_hz} Hz, but {len(slow)} of {files} "
            f"recorded below it; lower --rate, or leave them out:{listed(slow)}"
        )


def listed(wrong: Sequence[str], shown: int = 10) -> str:
    """Return what is wrong, a line each, and how much more there is."""
    more = f"\n  … and {len(wrong) - shown} more" if len(wrong) > shown else ""
    return "".join(f"\n  {one}" for one in wrong[:shown]) + more


def check_teacher_leak(teacher: Run, test: Sequence[Clip], hashes: Sequence[str] = ()) -> None:
    """Refuse a teacher that has trained on, or was chosen by, a recording of the student's test fold.

    ``hashes`` of the test clips' files tell it where another data set calls the recordings otherwise.
    """
    known = teacher.read("clips.json")
    seen = {*known["training"], *known["validation"]} & {clip.group for clip in test}
    files = set(known.get("files", ()))
    seen |= {clip.group for clip, one in zip(test, hashes, strict=False) if one[:16] in files}
    if seen:
        names = ", ".join(sorted(seen)[:5])
        raise HearlessError(
            f"leak: the teacher {teacher.path.name} was trained on {plural(len(seen), 'recording')} of the student's "
            f"test fold ({names}); train it on the student's own folds."
        )


def check_classes(teacher: Sequence[str], student: Sequence[str]) -> None:
    """Refuse a teacher whose classes are not the student's, in the same order; the difference is printed."""
    if list(teacher) == list(student):
        return
    said = [
        f"{whose} alone has {', '.join(names)}"
        for whose, names in (
            ("the teacher", [label for label in teacher if label not in student]),
            ("the student", [label for label in student if label not in teacher]),
        )
        if names
    ]
    place = next((i for i, (a, b) in enumerate(zip(teacher, student, strict=False)) if a != b), None)
    if place is not None:
        said.append(f"class {place + 1} is {teacher[place]!r} to the teacher and {student[place]!r} to the student")
    raise HearlessError(
        f"teacher and student must share their classes in one order, got {len(teacher)} and {len(student)}: "
        f"{'; '.join(said)}. Train the teacher on the student's data set."
    )
