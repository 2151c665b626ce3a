from rest_framework import serializers

from .models import Mug, Song


class MugSerializer(serializers.ModelSerializer[Mug]):
    class Meta:
        model = Mug
        fields = ["name", "code"]


class SongSerializer(serializers.ModelSerializer[Song]):
    class Meta:
        model = Song
        fields = ["name", "code"]
