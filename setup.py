"""Installation of ssrl_brain; exact tested versions: constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"', (ROOT / "ssrl_brain/__init__.py").read_text()
).group(1)
IS_LINUX_X86 = "sys_platform == 'linux' and platform_machine == 'x86_64'"

setup(
    name="ssrl_brain",
    version=VERSION,
    description="Self-supervised speaker embeddings for SpeechBrain",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["ssrl_brain", "ssrl_brain.*"]),
    python_requires=">=3.10,<3.14",
    install_requires=[
        "torch>=2.7.1,<2.12",
        "torchaudio>=2.7.1,<2.12",
        "speechbrain>=1.1.2,<1.2",
        "hyperpyyaml>=1.2.3",
        "ruamel.yaml>=0.17",
        "numpy",
        "scipy",
        "scikit-learn",
        "soundfile>=0.12",
        "huggingface_hub",
        "tqdm",
        "matplotlib>=3.10",
        "pillow>=10",
        # The GPU build runs without a GPU as well; never install both.
        f"faiss-gpu>=1.9; {IS_LINUX_X86}",
        "faiss-cpu>=1.9; sys_platform != 'linux'"
        " or platform_machine != 'x86_64'",
    ],
    extras_require={
        "demo": ["espeakng-loader"],
        "tensorboard": ["tensorboard"],
        "video": ["av>=14"],
        "test": [
            "av>=14",
            "pytest",
            "hypothesis",
            "ruff",
            "POT",
            "espeakng-loader",
        ],
    },
)
