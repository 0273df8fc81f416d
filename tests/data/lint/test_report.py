import json

from vjepa_sim.data.lint import findings_rows, findings_text
from vjepa_sim.data.lint.finding import Finding


def test_the_report_names_counts_episodes_rows_and_remedies():
    findings = [
        Finding(
            check="gaps", episode=f"episode-{n}", number=n, row=7, severity="error", what="3 gaps", remedy="Cut there."
        )
        for n in range(8)
    ]
    text = findings_text(
        [
            Finding(
                check="idle", episode="episode-1", number=1, row=0, severity="warning", what="no motion", remedy="Trim."
            ),
            *findings,
        ]
    )
    assert text.index("error: gaps (8 findings in 8 episodes)") < text.index("warning: idle")
    assert "episode-4, row 7: 3 gaps." in text and "episode-5" not in text and "and 3 more" in text
    assert text.count("Cut there.") == 1
    assert json.loads(json.dumps(findings_rows(findings)))[0]["row"] == 7
    assert findings_text([]) == "Nothing was found."
