"""``python -m benchmarks.gpu`` is ``run.py``, which has the explanation."""

from benchmarks.gpu.run import main

raise SystemExit(main())
